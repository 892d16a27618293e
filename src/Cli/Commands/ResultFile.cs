using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>Files of numbers that commands write: NumPy's, or texmex's by the name.</summary>
internal static class ResultFile
{
    /// <summary>Refuses a name that says another kind of file, before any work is done for it.</summary>
    public static void Check(string? path, VecsKind kind)
    {
        if (path is not null && Vecs.KindOf(path) is VecsKind said && said != kind)
            throw new UsageException($"{path}: these numbers are written as .npy or {(kind == VecsKind.Floats ? ".fvecs" : ".ivecs")}.");
    }

    public static void Write(Session session, string path, FloatMatrix matrix)
    {
        if (Vecs.KindOf(path) is null)
            Npy.Write(path, matrix);
        else
            Vecs.Write(path, matrix);
        session.Say($"wrote {path}");
    }

    public static void Write(Session session, string path, MatrixView<long> matrix)
    {
        if (Vecs.KindOf(path) is null)
            Npy.Write(path, matrix);
        else
            Vecs.Write(path, matrix);
        session.Say($"wrote {path}");
    }
}
