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
    public static string Missing => "NumKong: not found, or of another interface than version 7; set NUMKONG to its libnumkong.so";

    public string Name => "NumKong";

    /// <summary>The library that NUMKONG names, or that the system finds; null where there is none.</summary>
    public static NumKong? TryLoad() =>
        PeerLibrary.Find("NUMKONG", ["libnumkong.so", "libnumkong.dylib"], "nk_dots_packed_i8") is not 0 and nint library && new NumKong(library) is var peer && peer.Multiplies()
            ? peer
            : null;

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
        delegate* unmanaged<nint, nint, nint> size = Size(type);
        delegate* unmanaged<void*, nint, nint, nint, void*, void> pack = Pack(type);
        delegate* unmanaged<void*, void*, void*, nint, nint, nint, nint, nint, void> dots = Dots(type);

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

    /// <summary>Whether the functions do what is assumed here, on a product of small integers.</summary>
    private bool Multiplies()
    {
        const int Height = 5, Width = 3, Depth = 70;
        sbyte* a = stackalloc sbyte[Height * Depth], b = stackalloc sbyte[Width * Depth];
        for (int i = 0; i < Height * Depth; i++)
            a[i] = (sbyte)((i * 37 % 255) - 127);
        for (int i = 0; i < Width * Depth; i++)
            b[i] = (sbyte)((i * 53 % 255) - 127);
        using AlignedBuffer<byte> packed = new(Size("i8")(Width, Depth));
        using AlignedBuffer<int> scores = new(Height * Width);
        Pack("i8")(b, Width, Depth, Depth, packed.Pointer);
        Dots("i8")(a, packed.Pointer, scores.Pointer, Height, Width, Depth, Depth, Width * sizeof(int));
        for (int i = 0; i < Height * Width; i++)
        {
            int wanted = 0;
            for (int p = 0; p < Depth; p++)
                wanted += a[(i / Width * Depth) + p] * b[(i % Width * Depth) + p];
            if (scores[i] != wanted)
                return false;
        }

        return true;
    }

    private delegate* unmanaged<nint, nint, nint> Size(string type) =>
        (delegate* unmanaged<nint, nint, nint>)NativeLibrary.GetExport(_library, $"nk_dots_packed_size_{type}");

    private delegate* unmanaged<void*, nint, nint, nint, void*, void> Pack(string type) =>
        (delegate* unmanaged<void*, nint, nint, nint, void*, void>)NativeLibrary.GetExport(_library, $"nk_dots_pack_{type}");

    private delegate* unmanaged<void*, void*, void*, nint, nint, nint, nint, nint, void> Dots(string type) =>
        (delegate* unmanaged<void*, void*, void*, nint, nint, nint, nint, nint, void>)NativeLibrary.GetExport(_library, $"nk_dots_packed_{type}");

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
