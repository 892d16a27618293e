namespace EmbeddingKernels.Core;

/// <summary>The gradient and the divergence of t-SNE in double precision over all pairs, as plainly as they can be written.</summary>
/// <remarks>Maps are given as one array of coordinates per axis.</remarks>
internal static class TsneGradientReference
{
    public static double Q(double[][] map, int i, int j)
    {
        double distance = 1;
        foreach (double[] axis in map)
            distance += (axis[i] - axis[j]) * (axis[i] - axis[j]);
        return 1 / distance;
    }

    public static double SumQ(double[][] map)
    {
        double sum = 0;
        for (int i = 0; i < map[0].Length; i++)
        {
            for (int j = 0; j < i; j++)
                sum += 2 * Q(map, i, j);
        }

        return sum;
    }

    public static double[][] Repulsion(double[][] map) => Forces(map, force =>
    {
        for (int i = 0; i < map[0].Length; i++)
        {
            for (int j = 0; j < map[0].Length; j++)
            {
                double q = Q(map, i, j);
                for (int axis = 0; axis < map.Length; axis++)
                    force[axis][i] += q * q * (map[axis][i] - map[axis][j]);
            }
        }
    });

    public static double[][] Attraction(CsrMatrix affinities, double[][] map) => Forces(map, force =>
    {
        for (int i = 0; i < affinities.Rows; i++)
        {
            for (int t = (int)affinities.RowOffsets[i]; t < affinities.RowOffsets[i + 1]; t++)
            {
                int j = affinities.ColumnIndices[t];
                double weight = affinities.Values[t] * Q(map, i, j);
                for (int axis = 0; axis < map.Length; axis++)
                    force[axis][i] += weight * (map[axis][i] - map[axis][j]);
            }
        }
    });

    /// <summary>4 (attraction - repulsion / Z).</summary>
    public static double[][] Gradient(CsrMatrix affinities, double[][] map)
    {
        double[][] attraction = Attraction(affinities, map), repulsion = Repulsion(map);
        double sum = SumQ(map);
        for (int axis = 0; axis < map.Length; axis++)
        {
            for (int i = 0; i < attraction[axis].Length; i++)
                attraction[axis][i] = 4 * (attraction[axis][i] - (repulsion[axis][i] / sum));
        }

        return attraction;
    }

    public static double KullbackLeibler(CsrMatrix affinities, double[][] map)
    {
        double sumQ = SumQ(map), divergence = 0;
        for (int i = 0; i < affinities.Rows; i++)
        {
            for (int t = (int)affinities.RowOffsets[i]; t < affinities.RowOffsets[i + 1]; t++)
            {
                double p = affinities.Values[t];
                if (p > 0)
                    divergence += p * Math.Log(p / (Q(map, i, affinities.ColumnIndices[t]) / sumQ));
            }
        }

        return divergence;
    }

    private static double[][] Forces(double[][] map, Action<double[][]> add)
    {
        double[][] force = [.. map.Select(axis => new double[axis.Length])];
        add(force);
        return force;
    }
}
