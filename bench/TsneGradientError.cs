using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>How far each method's forces are from the exact ones in double, at positions that a run passes through.</summary>
internal static unsafe class TsneGradientError
{
    public static void Run(TextWriter output, TsneProblem problem, int early, int steps)
    {
        output.WriteLine($"### Error of the gradient against exact forces in double, {problem.Points.ToString("N0", CultureInfo.InvariantCulture)} points");
        output.WriteLine();
        output.WriteLine("Relative L2 error over all points: |f - exact| / |exact|. Gradient: attraction (times the exaggeration of that step) less repulsion / Z; where");
        output.WriteLine("a map has come to rest both cancel, so the error of the gradient is also given relative to its attraction alone.");
        output.WriteLine();
        output.WriteLine("| after step | width of the map | method | repulsion | Z | gradient | gradient, to attraction |");
        output.WriteLine("|---|---|---|---|---|---|---|");
        int n = problem.Points;
        using WorkerPool pool = new(Environment.ProcessorCount);
        using FloatMatrix map = new(2, n), force = new(2, n), attraction = new(2, n);
        double[] exactX = new double[n], exactY = new double[n], pullX = new double[n], pullY = new double[n];
        CsrMatrix joint = problem.Affinities.Joint;
        TsneEmbedding run = new(problem.Affinities, problem.Start, OwnTsne.All[0].Method);
        foreach (int step in (int[])[50, early, steps])
        {
            bool exaggerated = step <= early;
            if (exaggerated)
                run.Optimize(step - run.Iteration, (float)TsneTask.Exaggeration, 0.5f);
            else
                run.Optimize(step - run.Iteration);
            using FloatMatrix rows = run.ToMatrix();
            double[] x = TsneJudge.Axis(rows, 0), y = TsneJudge.Axis(rows, 1);
            for (int i = 0; i < n; i++)
            {
                map[0, i] = rows[i, 0];
                map[1, i] = rows[i, 1];
            }

            double exaggeration = exaggerated ? TsneTask.Exaggeration : 1, width = Math.Max(x.Max() - x.Min(), y.Max() - y.Min());
            double exactZ = TsneJudge.Repulsion(x, y, exactX, exactY, pool);
            TsneJudge.Attraction(joint, x, y, pullX, pullY);
            TsneGradient.Attraction(joint, map.View, attraction.View, pool: pool);
            foreach ((string name, Func<int, ITsneRepulsion> create) in Methods)
            {
                using ITsneRepulsion method = create(n);
                double z = method.Compute(map.View, force.View, pool);
                double repulsionError = 0, repulsion = 0, gradientError = 0, gradient = 0, pulls = 0;
                for (int i = 0; i < n; i++)
                {
                    Add(force[0, i], attraction[0, i], exactX[i], pullX[i]);
                    Add(force[1, i], attraction[1, i], exactY[i], pullY[i]);
                }

                output.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {step} | {width:G3} | {name} | {Math.Sqrt(repulsionError / repulsion):0.0E+0} | {Math.Abs(z - exactZ) / exactZ:0.0E+0} | {Math.Sqrt(gradientError / gradient):0.0E+0} | {Math.Sqrt(gradientError / pulls):0.0E+0} |"));

                void Add(double f, double pull, double exact, double exactPull)
                {
                    double g = (exaggeration * pull) - (f / z), exactG = (exaggeration * exactPull) - (exact / exactZ);
                    repulsionError += (f - exact) * (f - exact);
                    repulsion += exact * exact;
                    gradientError += (g - exactG) * (g - exactG);
                    gradient += exactG * exactG;
                    pulls += exaggeration * exactPull * (exaggeration * exactPull);
                }
            }
        }

        output.WriteLine();
    }

    private static (string Name, Func<int, ITsneRepulsion> Create)[] Methods { get; } =
    [
        ("FFT", points => new FftRepulsion(points, 2)),
        ("Barnes-Hut, theta 0.5", points => new BarnesHutRepulsion(points, 2)),
        ("exact in float", points => new ExactRepulsion(points, 2)),
    ];
}
