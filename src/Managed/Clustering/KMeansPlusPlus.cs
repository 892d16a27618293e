using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The greedy k-means++ of scikit-learn (<c>_kmeans_plusplus</c>): see <see cref="KMeansStart.KMeansPlusPlus"/>. One pass over
/// the data for each centre, and 4 * (2 + log k) bytes of memory for each row.
/// </summary>
internal sealed unsafe class KMeansPlusPlus : IDisposable
{
    private readonly KMeansData _data;
    private readonly int _trials;

    /// <summary>The squared distance of each row from its nearest centre.</summary>
    private readonly AlignedBuffer<float> _nearest;

    /// <summary>What <see cref="_nearest"/> were with each trial row as a further centre; a row of the matrix for each trial.</summary>
    private readonly AlignedBuffer<float> _tried;

    /// <summary>Sums of <see cref="_nearest"/> over blocks of rows, and of each trial's.</summary>
    private double[] _sums;
    private readonly double[][] _triedSums;
    private readonly FloatMatrix _candidates;

    public KMeansPlusPlus(KMeansData data, int clusters)
    {
        _data = data;
        _trials = 2 + (int)Math.Log(clusters);
        _nearest = new AlignedBuffer<float>(data.Rows.Rows);
        _tried = new AlignedBuffer<float>(data.Rows.Rows * _trials);
        _sums = new double[data.Blocks];
        _triedSums = [.. Enumerable.Range(0, _trials).Select(_ => new double[data.Blocks])];
        _candidates = new FloatMatrix(_trials, data.Rows.Columns);
    }

    /// <summary>Fills <paramref name="centers"/>.</summary>
    public void Choose(MatrixView<float> centers, ref SplitMix64 random, Action<int>? chosen)
    {
        HashSet<nint> taken = [];
        _nearest.AsSpan().Fill(float.PositiveInfinity);
        nint[] rows = new nint[_trials];
        for (int c = 0; c < centers.Rows; c++)
        {
            int trials = 1;
            double total = c == 0 ? 0 : _sums.Sum();
            if (c == 0)
            {
                rows[0] = (nint)random.NextBelow((uint)_data.Rows.Rows);
            }
            else if (total > 0)
            {
                trials = _trials;
                for (int t = 0; t < trials; t++)
                    rows[t] = Find(random.NextDouble() * total);
            }
            else
            {
                // Every row lies on a centre: any row that is none yet.
                rows[0] = 0;
                while (taken.Contains(rows[0]))
                    rows[0]++;
            }

            int best = Try(rows.AsSpan(0, trials));
            taken.Add(rows[best]);
            _data.CopyRow(rows[best], centers.Row(c));
            Keep(best);
            chosen?.Invoke(c + 1);
        }
    }

    public void Dispose()
    {
        _nearest.Dispose();
        _tried.Dispose();
        _candidates.Dispose();
    }

    /// <summary>The row at which the sum of distances passes <paramref name="target"/>.</summary>
    private nint Find(double target)
    {
        int block = 0;
        while (block < _sums.Length - 1 && target >= _sums[block])
            target -= _sums[block++];
        nint start = (nint)block * _data.BlockRows, end = Math.Min(start + _data.BlockRows, _data.Rows.Rows);
        nint last = start;
        for (nint i = start; i < end; i++)
        {
            // Rounding may lead past the end; rows on a centre are never wanted.
            float distance = _nearest.Pointer[i];
            if (distance > 0)
                last = i;
            target -= distance;
            if (target < 0 && distance > 0)
                break;
        }

        return last;
    }

    /// <summary>Finds the sum of distances with each of <paramref name="rows"/> as a further centre; returns the number of the lowest.</summary>
    private int Try(ReadOnlySpan<nint> rows)
    {
        int trials = rows.Length;
        for (int t = 0; t < trials; t++)
            _data.CopyRow(rows[t], _candidates.View.Row(t));
        nint all = _data.Rows.Rows;
        MatrixView<float> candidates = _candidates.View.Slice(0, trials);
        for (int b = 0; b < _data.Blocks; b++)
        {
            MatrixView<float> block = _data.Block(b);
            nint start = (nint)b * _data.BlockRows;
            MatrixView<float> distances = new(_tried.Pointer + start, trials, block.Rows, all);
            _data.Distances(candidates, block, distances);
            int number = b;
            _data.Pool.For(trials, 1, (_, first, end) =>
            {
                for (nint t = first; t < end; t++)
                    _triedSums[t][number] = Lower(distances.Row(t), _nearest.Pointer + start, block.Rows);
            });
        }

        int best = 0;
        double lowest = _triedSums[0].Sum();
        for (int t = 1; t < trials; t++)
        {
            double sum = _triedSums[t].Sum();
            if (sum < lowest)
                (best, lowest) = (t, sum);
        }

        return best;
    }

    private static double Lower(float* distances, float* nearest, nint count)
    {
        double sum = 0;
        for (nint i = 0; i < count; i++)
        {
            distances[i] = Math.Min(distances[i], nearest[i]);
            sum += distances[i];
        }

        return sum;
    }

    private void Keep(int trial)
    {
        long bytes = (long)_nearest.Length * sizeof(float);
        Buffer.MemoryCopy(_tried.Pointer + (trial * _nearest.Length), _nearest.Pointer, bytes, bytes);
        (_sums, _triedSums[trial]) = (_triedSums[trial], _sums);
    }
}
