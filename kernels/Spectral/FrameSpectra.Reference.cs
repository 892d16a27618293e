namespace EmbeddingKernels.Core;

/// <summary>The formula of <see cref="FrameSpectra"/> in double precision, frame by frame.</summary>
internal static unsafe class FrameSpectraReference
{
    public static (double[,] Values, double[] Energies) Run(
        FrameSpectraOptions options, ReadOnlySpan<float> window, float[,]? filters, ReadOnlySpan<float> samples, int frames)
    {
        int frequencies = (options.FftLength / 2) + 1, columns = filters?.GetLength(0) ?? (options.Value == SpectrumValue.Complex ? 2 * frequencies : frequencies);
        double[,] values = new double[frames, columns];
        double[] energies = new double[frames];
        for (int f = 0; f < frames; f++)
        {
            double[] s = new double[window.Length];
            for (int n = 0; n < s.Length; n++)
            {
                nint sample = FrameSpectra.SampleAt((nint)options.FirstSample + ((nint)f * options.HopLength) + n, samples.Length, options.Padding);
                s[n] = sample < 0 ? 0 : (double)options.SampleScale * samples[(int)sample];
            }

            double mean = options.RemoveMean ? s.Average() : 0;
            double[] x = [.. s.Select(v => v - mean)];
            double[] line = new double[options.FftLength];
            double raw = 0, windowed = 0;
            for (int n = 0; n < x.Length; n++)
            {
                double y = (x[n] - (options.PreEmphasis * x[Math.Max(n - 1, 0)])) * window[n];
                line[options.WindowOffset + n] = y;
                raw += x[n] * x[n];
                windowed += y * y;
            }

            energies[f] = options.Energy == FrameEnergy.Raw ? raw : windowed;
            double[] spectrum = new double[options.Value == SpectrumValue.Complex ? 2 * frequencies : frequencies];
            for (int k = 0; k < frequencies; k++)
            {
                (double re, double im) = RealFft2DReference.Sum(options.FftLength, k, n => (line[n], 0));
                double power = (re * re) + (im * im);
                if (options.Value == SpectrumValue.Complex)
                    (spectrum[2 * k], spectrum[(2 * k) + 1]) = (re, im);
                else
                    spectrum[k] = options.Value == SpectrumValue.Power ? power : Math.Sqrt(power);
            }

            for (int m = 0; m < columns; m++)
            {
                double value = filters is null ? spectrum[m] : 0;
                for (int k = 0; filters is not null && k < frequencies; k++)
                    value += filters[m, k] * spectrum[k];
                values[f, m] = options.LogFactor == 0 ? value : options.LogFactor * Math.Log(Math.Max(value + options.LogOffset, options.LogFloor));
            }
        }

        return (values, energies);
    }
}
