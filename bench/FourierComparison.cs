using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Fourier transforms of real grids of the sizes that t-SNE maps take, against FFTW in single precision.</summary>
public static unsafe class FourierComparison
{
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        Fftw? fftw = Fftw.TryLoad();
        output.WriteLine("## Fourier transforms of real grids, single precision");
        output.WriteLine();
        output.WriteLine(fftw is null
            ? Fftw.Missing
            : $"{fftw.Name} by measured plans. Rate: 2.5 N log2 N operations for N elements. Ratio: how much longer FFTW takes. Difference: between both spectra, relative, root mean square.");
        output.WriteLine();
        output.WriteLine("| grid | threads | forward us | GFLOP/s | FFTW us | ratio | forward and back us | FFTW us | ratio | CPU ratio | difference |");
        output.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
        int[] sizes = quick ? [128, 240, 400] : [96, 128, 200, 256, 300, 400, 512, 640, 800, 1000, 1024, 1200, 1600, 2000];
        foreach (int threads in Environment.ProcessorCount > 1 ? new[] { 1, 2 } : [1])
        {
            using WorkerPool pool = new(threads);
            foreach (int size in sizes)
                Measure(output, fftw, size, pool, quick);
        }
    }

    private static void Measure(TextWriter output, Fftw? fftw, int size, WorkerPool pool, bool quick)
    {
        nint elements = (nint)size * size, complex = ((nint)size / 2) + 1;
        using AlignedBuffer<float> grid = BenchData.Random(elements, size), spectrum = new(2 * complex * size), back = new(elements);
        using AlignedBuffer<float> theirGrid = new(elements), theirSpectrum = new(2 * complex * size), theirBack = new(elements);
        MatrixView<float> gridView = new(grid.Pointer, size, size), spectrumView = new(spectrum.Pointer, complex, 2 * size), backView = new(back.Pointer, size, size);
        using RealFft2D ours = new(size, size);
        using Fftw.Transform? theirs = fftw?.Plan(size, size, pool.Threads, theirGrid.Pointer, theirSpectrum.Pointer, theirBack.Pointer);

        // FFTW leaves out half of the last axis and we half of the first: it gets the transposed grid.
        for (int y = 0; y < size; y++)
        {
            for (int x = 0; x < size; x++)
                theirGrid[(x * size) + y] = grid[(y * size) + x];
        }

        DuelPlan plan = new(Budget: quick ? 0.2 : 1.5, Rounds: quick ? 3 : 15, Turn: 0.02);
        Duel forward = new(plan, new Contestant("ours", () => ours.Forward(gridView, spectrumView, pool)), theirs is null ? null : new("FFTW", theirs.Forward));
        double difference = theirs is null ? double.NaN : Difference(spectrum, theirSpectrum, size, (int)complex);
        Duel both = new(
            plan,
            new Contestant("ours", () =>
            {
                ours.Forward(gridView, spectrumView, pool);
                ours.Inverse(spectrumView, backView, pool);
            }),
            theirs is null ? null : new("FFTW", () =>
            {
                theirs.Forward();
                theirs.Backward();
            }));
        double operations = 2.5 * elements * Math.Log2(elements);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"| {size} x {size} | {pool.Threads} | {forward.Wall() * 1e6:F1} | {operations / forward.Wall() / 1e9:F1} | {forward.Wall(1) * 1e6:F1} | {forward.Ratio(1):F2} | {both.Wall() * 1e6:F1} | {both.Wall(1) * 1e6:F1} | {both.Ratio(1):F2} | {both.CpuRatio(1):F2} | {difference:0.0E+0} |"));
        output.Flush();
    }

    private static double Difference(AlignedBuffer<float> ours, AlignedBuffer<float> theirs, int size, int complex)
    {
        double difference = 0, all = 0;
        for (int k = 0; k < complex; k++)
        {
            for (int l = 0; l < size; l++)
            {
                for (int part = 0; part < 2; part++)
                {
                    double one = ours[((((nint)k * size) + l) * 2) + part], other = theirs[((((nint)l * complex) + k) * 2) + part];
                    difference += (one - other) * (one - other);
                    all += other * other;
                }
            }
        }

        return Math.Sqrt(difference / all);
    }
}
