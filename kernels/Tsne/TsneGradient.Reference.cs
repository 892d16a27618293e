namespace EmbeddingKernels.Core;

/// <summary>The gradient and the divergence of t-SNE in double precision over all pairs, as plainly as they can be written.</summary>
/// <remarks>Maps are given as one array of coordinates per axis; nu are the degrees of freedom.</remarks>
internal static class TsneGradientReference
{
    /// <summary>t = 1 + |a_i - b_j|^2 / nu.</summary>
    public static double T(double[][] a, int i, double[][] b, int j, double nu)
    {
        double square = 0;
        for (int axis = 0; axis < a.Length; axis++)
            square += (a[axis][i] - b[axis][j]) * (a[axis][i] - b[axis][j]);
        return 1 + (square / nu);
    }

    /// <summary>w = t^(-(nu+1)/2).</summary>
    public static double W(double t, double nu) => nu == 1 ? 1 / t : Math.Pow(t, -(nu + 1) / 2);

    /// <summary>Z: the sum of w over all ordered pairs.</summary>
    public static double SumQ(double[][] map, double nu = 1)
    {
        double sum = 0;
        for (int i = 0; i < map[0].Length; i++)
        {
            for (int j = 0; j < i; j++)
                sum += 2 * W(T(map, i, map, j, nu), nu);
        }

        return sum;
    }

    public static double[][] Repulsion(double[][] map, double nu = 1) => Field(map, map, nu).Force; // a point does not push itself

    /// <summary>What the points of a reference do to others: the forces, and the sum of w of each.</summary>
    public static (double[][] Force, double[] Sums) Field(double[][] reference, double[][] points, double nu = 1)
    {
        double[] sums = new double[points[0].Length];
        double[][] forces = Forces(points, force =>
        {
            for (int i = 0; i < points[0].Length; i++)
            {
                for (int j = 0; j < reference[0].Length; j++)
                {
                    double t = T(points, i, reference, j, nu), w = W(t, nu);
                    sums[i] += w;
                    for (int axis = 0; axis < points.Length; axis++)
                        force[axis][i] += w / t * (points[axis][i] - reference[axis][j]);
                }
            }
        });
        return (forces, sums);
    }

    public static double[][] Attraction(CsrMatrix affinities, double[][] map, double nu = 1) => Attraction(affinities, map, map, nu);

    public static double[][] Attraction(CsrMatrix affinities, double[][] reference, double[][] points, double nu) => Forces(points, force =>
    {
        for (int i = 0; i < affinities.Rows; i++)
        {
            for (int k = (int)affinities.RowOffsets[i]; k < affinities.RowOffsets[i + 1]; k++)
            {
                int j = affinities.ColumnIndices[k];
                double weight = affinities.Values[k] / T(points, i, reference, j, nu);
                for (int axis = 0; axis < points.Length; axis++)
                    force[axis][i] += weight * (points[axis][i] - reference[axis][j]);
            }
        }
    });

    /// <summary>(2 (nu + 1) / nu) (exaggeration * attraction - repulsion / Z).</summary>
    public static double[][] Gradient(CsrMatrix affinities, double[][] map, double nu = 1, double exaggeration = 1)
    {
        double[][] gradient = Attraction(affinities, map, nu), repulsion = Repulsion(map, nu);
        double sum = SumQ(map, nu);
        for (int axis = 0; axis < map.Length; axis++)
        {
            for (int i = 0; i < gradient[axis].Length; i++)
                gradient[axis][i] = 2 * (nu + 1) / nu * ((exaggeration * gradient[axis][i]) - (repulsion[axis][i] / sum));
        }

        return gradient;
    }

    public static double KullbackLeibler(CsrMatrix affinities, double[][] map, double nu = 1)
    {
        double sumQ = SumQ(map, nu), divergence = 0;
        for (int i = 0; i < affinities.Rows; i++)
        {
            for (int k = (int)affinities.RowOffsets[i]; k < affinities.RowOffsets[i + 1]; k++)
            {
                double p = affinities.Values[k];
                if (p > 0)
                    divergence += p * (Math.Log(p) + ((nu + 1) / 2 * Math.Log(T(map, i, map, affinities.ColumnIndices[k], nu))) + Math.Log(sumQ)); // w itself may underflow
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
