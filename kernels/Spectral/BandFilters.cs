namespace EmbeddingKernels.Core;

/// <summary>
/// Filters over the frequencies of a spectrum, each with weights in one band and zeros outside: y[m] = sum over k in band m of
/// w[m, k] v[k]. Mel filterbanks are such: with 80 filters over 257 frequencies 98% of the weights are zero.
/// </summary>
public sealed unsafe class BandFilters : IDisposable
{
    private readonly AlignedBuffer<float> _weights;

    /// <summary>Keeps of each row what lies between its first and its last weight other than zero.</summary>
    /// <param name="weights">A row for each filter, a column for each frequency.</param>
    /// <exception cref="ArgumentException">There is no filter or no frequency, or a weight is not finite.</exception>
    public BandFilters(MatrixView<float> weights)
    {
        if (weights.Rows < 1 || weights.Columns < 1 || weights.Rows > 1 << 20 || weights.Columns > 1 << 24)
            throw new ArgumentException($"There must be at least one filter and one frequency, and are {weights.Rows} x {weights.Columns}.", nameof(weights));
        (Count, Frequencies) = ((int)weights.Rows, (int)weights.Columns);
        First = new int[Count];
        Length = new int[Count];
        nint total = 0;
        for (int m = 0; m < Count; m++)
        {
            Span<float> row = weights.RowSpan(m);
            int first = row.IndexOfAnyExcept(0f), last = row.LastIndexOfAnyExcept(0f);
            (First[m], Length[m]) = first < 0 ? (0, 0) : (first, last - first + 1);
            foreach (float weight in row.Slice(First[m], Length[m]))
            {
                if (!float.IsFinite(weight))
                    throw new ArgumentException($"A weight of filter {m} is {weight}; weights must be finite.", nameof(weights));
            }

            total += Length[m];
        }

        _weights = new AlignedBuffer<float>(total);
        float* next = _weights.Pointer;
        for (int m = 0; m < Count; m++)
        {
            weights.RowSpan(m).Slice(First[m], Length[m]).CopyTo(new Span<float>(next, Length[m]));
            next += Length[m];
        }
    }

    /// <summary>Filters.</summary>
    public int Count { get; }

    /// <summary>Frequencies of the spectrum that they are for.</summary>
    public int Frequencies { get; }

    /// <summary>The first frequency of each filter's band.</summary>
    internal int[] First { get; }

    /// <summary>Frequencies of each filter's band.</summary>
    internal int[] Length { get; }

    /// <summary>The weights of all bands, one after another.</summary>
    internal float* Weights => _weights.Pointer;

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose() => _weights.Dispose();
}
