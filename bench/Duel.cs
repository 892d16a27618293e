using System.Diagnostics;

namespace EmbeddingKernels.Bench;

/// <summary>Wall and CPU seconds of some calls together.</summary>
internal readonly record struct Seconds(double Wall, double Cpu);

/// <summary>One who takes part in a <see cref="Duel"/>: a name, and a way to make so many calls and say what they took.</summary>
internal sealed class Contestant
{
    private readonly Func<int, Seconds> _run;

    /// <summary>Work in this process.</summary>
    public Contestant(string name, Action work)
        : this(name, calls => Time(work, calls))
    {
    }

    /// <summary>Work that times itself, such as that of another process.</summary>
    public Contestant(string name, Func<int, Seconds> run)
    {
        Name = name;
        _run = run;
    }

    public string Name { get; }

    /// <summary>Makes the calls.</summary>
    public Seconds Run(int calls) => _run(calls);

    private static Seconds Time(Action work, int calls)
    {
        double cpu = CpuTime.OfThisProcess;
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < calls; i++)
            work();
        double wall = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new(wall, CpuTime.OfThisProcess - cpu);
    }
}

/// <summary>How long a <see cref="Duel"/> goes on.</summary>
/// <param name="Budget">Seconds for all contestants together; once they are spent no round begins.</param>
/// <param name="Rounds">Rounds at most.</param>
/// <param name="Turn">Seconds that one turn should take: short work is called as often as fills them.</param>
/// <param name="Fewest">Rounds that are made whatever they take.</param>
/// <param name="Warm">Leave the first call of each out. Without it, a first call that fills a turn is the first round.</param>
internal readonly record struct DuelPlan(double Budget, int Rounds = 9, double Turn = 0.05, int Fewest = 3, bool Warm = true);

/// <summary>
/// Pieces of work timed in turn, so that whatever else the machine does meets all of them. The first contestant is ours;
/// ratios are medians over the rounds of how much longer another took than ours in the same round.
/// </summary>
internal sealed class Duel
{
    // Threads of OpenBLAS and of OpenMP's run time spin for up to 150 ms after a call and would take the core of whoever is next.
    private const int PauseMilliseconds = 200;

    private readonly Contestant[] _contestants;
    private readonly List<double>[] _wall;
    private readonly double[] _cpu;
    private readonly int[] _calls;

    /// <summary>Lets them take turns; null stands for one who cannot take part and keeps its place.</summary>
    public Duel(DuelPlan plan, params Contestant?[] contestants)
    {
        _contestants = [.. contestants.Select(one => one ?? new Contestant("", () => { }))];
        int count = _contestants.Length;
        bool[] present = [.. contestants.Select(one => one is not null)];
        int[] perTurn = new int[count];
        _wall = [.. Enumerable.Range(0, count).Select(_ => new List<double>())];
        _cpu = new double[count];
        _calls = new int[count];
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < count; i++)
        {
            if (!present[i])
                continue;
            Seconds first = _contestants[i].Run(1);
            bool fills = first.Wall > plan.Turn;
            if (fills && !plan.Warm)
                Count(i, 1, first);

            // The first call is the slowest; a second tells how many fill a turn.
            double one = fills ? first.Wall : _contestants[i].Run(1).Wall;
            perTurn[i] = (int)Math.Clamp(plan.Turn / Math.Max(one, 1e-7), 1, 1_000_000);
            Thread.Sleep(PauseMilliseconds);
        }

        for (int round = 0; round < plan.Rounds && (round < plan.Fewest || Stopwatch.GetElapsedTime(start).TotalSeconds < plan.Budget); round++)
        {
            for (int i = 0; i < count; i++)
            {
                // A call that was counted above was this one's turn in the first round.
                if (!present[i] || _wall[i].Count > round)
                    continue;
                Count(i, perTurn[i], _contestants[i].Run(perTurn[i]));
                Thread.Sleep(PauseMilliseconds);
            }

            Rounds++;
        }
    }

    /// <summary>Rounds made.</summary>
    public int Rounds { get; }

    /// <summary>Median wall seconds of a call; NaN for one who was missing.</summary>
    public double Wall(int contestant = 0) => Median(_wall[contestant]);

    /// <summary>CPU seconds of a call, over all calls; NaN for one who was missing.</summary>
    public double Cpu(int contestant = 0) => _cpu[contestant] / _calls[contestant];

    /// <summary>How many times longer than ours this one took, by wall clock: above 1, ours is faster.</summary>
    public double Ratio(int contestant) => Median([.. _wall[contestant].Zip(_wall[0], (theirs, ours) => theirs / ours)]);

    /// <summary>The same by CPU time.</summary>
    public double CpuRatio(int contestant) => Cpu(contestant) / Cpu();

    private void Count(int contestant, int calls, Seconds seconds)
    {
        _wall[contestant].Add(seconds.Wall / calls);
        _cpu[contestant] += seconds.Cpu;
        _calls[contestant] += calls;
    }

    private static double Median(List<double> values)
    {
        if (values.Count == 0)
            return double.NaN;
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
