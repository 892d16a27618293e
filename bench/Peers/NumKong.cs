using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// NumKong's products with packed queries: scores only, of blocks of rows that overwrite each other, without any selection.
/// It uses instructions that .NET does not offer where the processor has them (VNNI, BF16).
/// </summary>
internal sealed unsafe class NumKong
{
    private const int BlockRows = 1024;

    private readonly nint _library;

    private NumKong(nint library)
    {
        _library = library;

        // The first call finds out what the processor has and fills the table of functions.
        ((delegate* unmanaged<ulong>)NativeLibrary.GetExport(library, "nk_capabilities"))();
    }

    /// <summary>How to bring it in.</summary>
    public static string Missing => "NumKong: not found; set NUMKONG to its libnumkong.so";

    public string Name => "NumKong";

    /// <summary>The library that NUMKONG names, or that the system finds; null where there is none.</summary>
    public static NumKong? TryLoad() =>
        PeerLibrary.Find("NUMKONG", ["libnumkong.so", "libnumkong.dylib"], "nk_dots_packed_i8") is not 0 and nint library ? new(library) : null;

    /// <summary>All dot products of queries and data, both of one type; packing of the queries counts.</summary>
    public Contestant Contestant(RowsView queries, RowsView data, WorkerPool pool)
    {
        string type = data.Type switch
        {
            ElementType.Float32 => "f32",
            ElementType.Float16 => "f16",
            ElementType.BFloat16 => "bf16",
            ElementType.Int8 => "i8",
            _ => throw new ArgumentException($"NumKong's products are not used for {data.Type}.", nameof(data)),
        };
        var size = (delegate* unmanaged<nint, nint, nint>)NativeLibrary.GetExport(_library, $"nk_dots_packed_size_{type}");
        var pack = (delegate* unmanaged<void*, nint, nint, nint, void*, void>)NativeLibrary.GetExport(_library, $"nk_dots_pack_{type}");
        var dots = (delegate* unmanaged<void*, void*, void*, nint, nint, nint, nint, nint, void>)NativeLibrary.GetExport(_library, $"nk_dots_packed_{type}");

        // Scores of floats are doubles, the others have 4 bytes.
        nint scoreBytes = data.Type == ElementType.Float32 ? 8 : 4, block = BlockRows * queries.Rows * scoreBytes;
        AlignedBuffer<byte> packed = new(size(queries.Rows, queries.Columns)), scores = new(block * pool.Threads);
        return new(Name, () =>
        {
            pack(queries.Data, queries.Rows, queries.Columns, queries.StrideBytes, packed.Pointer);
            Body body = new(dots, packed.Pointer, scores.Pointer, block, queries.Rows, scoreBytes, data);
            pool.For(data.Rows, BlockRows, ref body);
        });
    }

    private readonly struct Body(
        delegate* unmanaged<void*, void*, void*, nint, nint, nint, nint, nint, void> dots,
        byte* packed,
        byte* scores,
        nint block,
        nint queries,
        nint scoreBytes,
        RowsView data) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end) => dots(
            data.Row(start), packed, scores + (worker * block), end - start, queries, data.Columns, data.StrideBytes, queries * scoreBytes);
    }
}
