namespace EmbeddingKernels.Core;

/// <summary>One optimiser step in double precision. Arrays are one per axis.</summary>
internal static class TsneOptimizerReference
{
    public static void Step(double[][] map, double[][] velocity, double[][] gains, double[][] gradient, in TsneStep step)
    {
        int n = map[0].Length;
        for (int i = 0; i < n; i++)
        {
            double length = 0;
            for (int axis = 0; axis < map.Length; axis++)
            {
                double g = gradient[axis][i];
                gains[axis][i] = Math.Max(velocity[axis][i] * g < 0 ? gains[axis][i] + 0.2 : gains[axis][i] * 0.8, step.MinGain);
                velocity[axis][i] = (step.Momentum * velocity[axis][i]) - (step.LearningRate * gains[axis][i] * g);
                length += velocity[axis][i] * velocity[axis][i];
            }

            length = Math.Sqrt(length);
            for (int axis = 0; axis < map.Length; axis++)
            {
                if (length > step.MaxStepNorm)
                    velocity[axis][i] *= step.MaxStepNorm / length;
                map[axis][i] += velocity[axis][i];
            }
        }

        foreach (double[] axis in map)
        {
            double mean = axis.Sum() / n;
            for (int i = 0; i < n; i++)
                axis[i] -= mean;
        }
    }
}
