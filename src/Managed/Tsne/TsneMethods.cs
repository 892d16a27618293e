using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>From the name of a method to what computes the forces.</summary>
internal static class TsneMethods
{
    // Up to here all pairs are the fastest. Measured on 2.45 GHz Zen 3, AVX2, 1 thread, 750 steps on Gaussian clusters, ms of
    // processor time a step, first and last 250 steps: 2,000 points in the plane exact 1.0 / 1.0, FFT 0.5 / 1.4, 4,000 points
    // 3.0 / 3.0 and 1.0 / 2.0; in space 1,000 points exact 0.44, Barnes-Hut 0.33-0.39, 2,000 points 1.4 and 0.8.
    private const int MostPointsExact = 2500;
    private const int MostPointsExactInSpace = 1500;

    /// <summary>The method in force for a map.</summary>
    /// <exception cref="ArgumentException">The method has no form for so many axes.</exception>
    public static TsneMethod Choose(TsneMethod method, int points, int dimensions)
    {
        switch (method)
        {
            case TsneMethod.Auto when points <= (dimensions < 3 ? MostPointsExact : MostPointsExactInSpace):
                return TsneMethod.Exact;
            case TsneMethod.Auto:
                return dimensions < 3 ? TsneMethod.Fft : TsneMethod.BarnesHut;
            case TsneMethod.Fft when dimensions > 2:
                throw new ArgumentException($"{TsneMethod.Fft} is for 1 or 2 axes, and the map has {dimensions}: use {TsneMethod.BarnesHut}.", nameof(method));
            case TsneMethod.BarnesHut when dimensions < 2:
                throw new ArgumentException($"{TsneMethod.BarnesHut} is for 2 or 3 axes, and the map has {dimensions}: use {TsneMethod.Fft}.", nameof(method));
            default:
                return method;
        }
    }

    /// <summary>What a chosen method computes repulsive forces with.</summary>
    public static ITsneRepulsion CreateRepulsion(TsneMethod method, int points, int dimensions, double degreesOfFreedom, double theta) => method switch
    {
        TsneMethod.BarnesHut => new BarnesHutRepulsion(points, dimensions, theta, degreesOfFreedom),
        TsneMethod.Fft => new FftRepulsion(points, dimensions, degreesOfFreedom),
        _ => new ExactRepulsion(points, dimensions, degreesOfFreedom),
    };

    /// <summary>What pushes new points away from a finished map.</summary>
    public static ITsneReferenceField CreateField(TsneMethod method, MatrixView<float> reference, double degreesOfFreedom, double theta) => method switch
    {
        TsneMethod.BarnesHut => new BarnesHutReferenceField(reference, theta, degreesOfFreedom),
        TsneMethod.Fft => new FftReferenceField(reference, degreesOfFreedom),
        _ => new ExactReferenceField(reference, degreesOfFreedom),
    };
}
