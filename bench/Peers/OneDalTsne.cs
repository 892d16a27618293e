using System.Globalization;

namespace EmbeddingKernels.Bench;

/// <summary>
/// oneDAL's gradient descent (Barnes-Hut, theta 0.5, single precision), which scikit-learn-intelex runs, by a driver program:
/// FOLDER THREADS EARLY STEPS EXAGGERATION RATE OUTPUT, whose last line is the milliseconds of an early and a late step, the
/// wall and CPU seconds of all steps, and the divergence as it has it. It takes affinities and makes none.
/// </summary>
internal sealed class OneDalTsne(string program) : ITsnePeer
{
    public string Name => "oneDAL, Barnes-Hut";

    public static OneDalTsne? TryFind(out string why) =>
        PeerProgram.Find("ONEDAL_TSNE", "onedal-tsne", out why) is { } program ? new(program) : null;

    public TsneRun Run(TsneProblem problem, TsneTask task)
    {
        string map = Path.GetTempFileName();
        double rate = TsneTask.LearningRate(problem.Points, factorInGradient: true);
        (string text, _) = PeerProgram.Run(
            program,
            [problem.Folder, .. new double[] { task.Threads, task.Early, task.Steps, TsneTask.Exaggeration, rate }.Select(number => number.ToString(CultureInfo.InvariantCulture)), map],
            problem.Folder, task.Threads);
        double[] said = PeerProgram.LastLine(text);
        Seconds steps = new(said[2], said[3]);
        return new(0, said[0], said[1], steps, steps, PeerProgram.TakeMap(map));
    }
}
