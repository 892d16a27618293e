using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>FAISS through its C interface, in this process.</summary>
internal sealed unsafe class Faiss : ISearchPeer
{
    private readonly nint _library;
    private readonly delegate* unmanaged<nint, long, float*, long, float*, long*, int> _search;
    private readonly Dictionary<SimilarityMetric, nint> _indices = [];
    private readonly OpenBlas? _blas = OpenBlas.TryLoad(); // the one that FAISS calls, if it was built against it
    private MatrixView<float> _data;
    private MatrixView<float> _queries;

    private Faiss(nint library)
    {
        _library = library;
        _search = (delegate* unmanaged<nint, long, float*, long, float*, long*, int>)NativeLibrary.GetExport(library, "faiss_Index_search");
        string version = PeerLibrary.Text(library, "faiss_get_version");
        Name = version.Length > 0 ? $"FAISS {version}" : "FAISS (C)";
    }

    /// <summary>How to bring it in.</summary>
    public static string Missing => "FAISS in C: not found; set FAISS_C to a libfaiss_c.so of FAISS built with its C interface (FAISS_ENABLE_C_API)";

    public string Name { get; }

    public long[] Ids { get; private set; } = [];

    /// <summary>The library that FAISS_C names, or that the system finds; null where there is none.</summary>
    public static Faiss? TryLoad() =>
        PeerLibrary.Find("FAISS_C", ["libfaiss_c.so", "libfaiss_c_avx2.so", "libfaiss_c.dylib"], "faiss_IndexFlat_new_with") is not 0 and nint library ? new(library) : null;

    public void Load(MatrixView<float> data, MatrixView<float> queries)
    {
        FreeIndices();
        _data = data;
        _queries = queries;
    }

    public void SetThreads(int threads)
    {
        OpenMp.SetThreads(threads);
        _blas?.SetThreads(threads);
    }

    public Contestant Contestant(SimilarityMetric metric, int count, int k)
    {
        nint index = Index(metric);
        float[] distances = new float[(nint)count * k];
        long[] ids = new long[(nint)count * k];
        return new(Name, () =>
        {
            fixed (float* d = distances)
            fixed (long* i = ids)
                Check(_search(index, count, _queries.Data, k, d, i));
            Ids = ids;
        });
    }

    public void Dispose() => FreeIndices();

    private void FreeIndices()
    {
        foreach (nint index in _indices.Values)
            ((delegate* unmanaged<nint, void>)NativeLibrary.GetExport(_library, "faiss_Index_free"))(index);
        _indices.Clear();
    }

    private nint Index(SimilarityMetric metric)
    {
        if (_indices.TryGetValue(metric, out nint index))
            return index;
        int kind = metric == SimilarityMetric.Dot ? 0 : 1; // METRIC_INNER_PRODUCT, METRIC_L2
        Check(((delegate* unmanaged<nint*, long, int, int>)NativeLibrary.GetExport(_library, "faiss_IndexFlat_new_with"))(&index, _data.Columns, kind));
        _indices[metric] = index;
        Check(((delegate* unmanaged<nint, long, float*, int>)NativeLibrary.GetExport(_library, "faiss_Index_add"))(index, _data.Rows, _data.Data));
        return index;
    }

    private void Check(int status)
    {
        if (status != 0)
            throw new InvalidOperationException($"{Name}: {PeerLibrary.Text(_library, "faiss_get_last_error")} ({status})");
    }
}
