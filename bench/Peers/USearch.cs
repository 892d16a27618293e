using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// USearch's exact search through its C interface, inner products of rows of any type. Its C function takes a number of
/// threads and leaves it unused: this is one thread. It stores all scores, 16 bytes for each pair of row and query.
/// </summary>
internal sealed unsafe class USearch
{
    private const int InnerProduct = 2;

    private readonly delegate* unmanaged<void*, nint, nint, void*, nint, nint, int, nint, int, nint, nint, ulong*, nint, float*, nint, nint*, void> _search;

    private USearch(nint library)
    {
        _search = (delegate* unmanaged<void*, nint, nint, void*, nint, nint, int, nint, int, nint, nint, ulong*, nint, float*, nint, nint*, void>)
            NativeLibrary.GetExport(library, "usearch_exact_search");
        Name = $"USearch {PeerLibrary.Text(library, "usearch_version")}";
    }

    /// <summary>How to bring it in.</summary>
    public static string Missing => "USearch: not found; set USEARCH_C to its libusearch_c.so, as its releases have it";

    public string Name { get; }

    /// <summary>The ids that the latest search found, a row for each query.</summary>
    public long[] Ids { get; private set; } = [];

    /// <summary>The library that USEARCH_C names, or that the system finds; null where there is none.</summary>
    public static USearch? TryLoad() =>
        PeerLibrary.Find("USEARCH_C", ["libusearch_c.so", "libusearch_c.dylib"], "usearch_exact_search") is not 0 and nint library ? new(library) : null;

    /// <summary>The k rows with the largest dot products; both sides of one type.</summary>
    public Contestant Contestant(RowsView queries, RowsView data, int k)
    {
        long[] keys = new long[queries.Rows * k];
        float[] distances = new float[queries.Rows * k];
        int type = data.Type switch
        {
            ElementType.Float32 => 1,
            ElementType.Float16 => 3,
            ElementType.Int8 => 4,
            ElementType.BFloat16 => 6,
            _ => throw new ArgumentException($"USearch has no {data.Type}.", nameof(data)),
        };
        return new(Name, () =>
        {
            nint error = 0;
            fixed (long* i = keys)
            fixed (float* d = distances)
                _search(
                    data.Data, data.Rows, data.StrideBytes, queries.Data, queries.Rows, queries.StrideBytes, type, data.Columns,
                    InnerProduct, k, 1, (ulong*)i, k * sizeof(ulong), d, k * sizeof(float), &error);
            if (error != 0)
                throw new InvalidOperationException($"{Name}: {Marshal.PtrToStringUTF8(error)}");
            Ids = keys;
        });
    }
}
