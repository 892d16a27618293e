namespace EmbeddingKernels.Core;

/// <summary>Skip-gram with negative sampling in double, as plain as it can be: what the kernel is tested against.</summary>
internal static class SkipGramReference
{
    /// <summary>
    /// The loss of one window, L = -sum over contexts c and outputs j of m[j] * log sigmoid((2 y[j] - 1) * c . o[j]), with
    /// label y[0] = 1 for the target and 0 for the negatives, and multiplicity m of each output.
    /// </summary>
    public static double Loss(double[][] contexts, double[][] outputs, int[] multiplicity)
    {
        double loss = 0;
        foreach (double[] context in contexts)
        {
            for (int j = 0; j < outputs.Length; j++)
            {
                double margin = Dot(context, outputs[j]) * (j == 0 ? 1 : -1);
                loss += multiplicity[j] * (Math.Log(1 + Math.Exp(-Math.Abs(margin))) + Math.Max(-margin, 0));
            }
        }

        return loss;
    }

    /// <summary>One gradient step of <see cref="Loss"/> with rate alpha on all rows at once, in place.</summary>
    public static void Step(double[][] contexts, double[][] outputs, int[] multiplicity, double alpha)
    {
        double[][] oldContexts = contexts.Select(row => (double[])row.Clone()).ToArray();
        double[][] oldOutputs = outputs.Select(row => (double[])row.Clone()).ToArray();
        for (int c = 0; c < contexts.Length; c++)
        {
            for (int j = 0; j < outputs.Length; j++)
            {
                double sigmoid = 1 / (1 + Math.Exp(-Dot(oldContexts[c], oldOutputs[j])));
                double k = alpha * multiplicity[j] * ((j == 0 ? 1 : 0) - sigmoid);
                for (int d = 0; d < oldContexts[c].Length; d++)
                {
                    contexts[c][d] += k * oldOutputs[j][d];
                    outputs[j][d] += k * oldContexts[c][d];
                }
            }
        }
    }

    private static double Dot(double[] a, double[] b)
    {
        double sum = 0;
        for (int d = 0; d < a.Length; d++)
            sum += a[d] * b[d];
        return sum;
    }
}
