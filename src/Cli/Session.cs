using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace EmbeddingKernels.Cli;

/// <summary>What one call of the command line writes to and is stopped by.</summary>
internal sealed class Session(TextWriter output, TextWriter error, bool interactive, CancellationToken interrupt)
{
    /// <summary>Results go here: plain text that other programs can read.</summary>
    public TextWriter Output { get; } = output;

    public CancellationToken Interrupt { get; } = interrupt;

    /// <summary>A line for the person at the terminal, not a result.</summary>
    public void Say(string line) => error.WriteLine(line);

    /// <summary>
    /// Does one long step: on a terminal under a progress bar with rate and time left, and in any case with one line at its
    /// end that says what was done, how long it took and how fast it went.
    /// </summary>
    /// <param name="title">What is done.</param>
    /// <param name="unit">What <see cref="StepProgress"/> counts, in the plural.</param>
    /// <param name="work">The step.</param>
    public T Step<T>(string title, string unit, Func<StepProgress, T> work)
    {
        StepProgress progress = new(unit);
        T result;
        if (interactive)
        {
            IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) });
            result = console.Progress()
                .AutoClear(true)
                .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RateColumn(progress), new RemainingTimeColumn())
                .Start(context =>
                {
                    progress.Attach(context.AddTask(Markup.Escape(title), maxValue: 1));
                    return work(progress);
                });
        }
        else
        {
            result = work(progress);
        }

        Say(string.Create(CultureInfo.InvariantCulture, $"{title,-34} {progress.Summary}"));
        return result;
    }

    private sealed class RateColumn(StepProgress progress) : ProgressColumn
    {
        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) => new Text(progress.Rate);
    }
}

/// <summary>How far one step is. Reports may come from any thread.</summary>
internal sealed class StepProgress(string unit)
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private ProgressTask? _task;
    private double _done;

    /// <summary>Words shown behind the rate, for instance the loss.</summary>
    public string Note { get; set; } = "";

    public string Rate => string.Create(CultureInfo.InvariantCulture, $"{Quantity(_done / Math.Max(_clock.Elapsed.TotalSeconds, 1e-3))} {unit}/s {Note}");

    public string Summary => _done > 0
        ? string.Create(CultureInfo.InvariantCulture, $"{Quantity(_done) + " " + unit,-22} {_clock.Elapsed.TotalSeconds,7:F2} s   {Rate}").TrimEnd()
        : string.Create(CultureInfo.InvariantCulture, $"{Note,-22} {_clock.Elapsed.TotalSeconds,7:F2} s").TrimEnd();

    public void Attach(ProgressTask task) => _task = task;

    public void Report(double done, double total)
    {
        _done = done;
        if (_task is not null && total > 0)
            _task.Value = Math.Min(done / total, 1);
    }

    /// <summary>1234567 as "1.23 M".</summary>
    private static string Quantity(double value) => value switch
    {
        >= 1e9 => (value / 1e9).ToString("F2", CultureInfo.InvariantCulture) + " G",
        >= 1e6 => (value / 1e6).ToString("F2", CultureInfo.InvariantCulture) + " M",
        >= 1e4 => (value / 1e3).ToString("F1", CultureInfo.InvariantCulture) + " k",
        >= 100 => value.ToString("F0", CultureInfo.InvariantCulture),
        _ => value.ToString("0.#", CultureInfo.InvariantCulture),
    };
}

/// <summary>Passes reports on at once, on the thread that makes them; Progress of the base library posts them elsewhere.</summary>
internal sealed class DirectProgress<T>(Action<T> report) : IProgress<T>
{
    public void Report(T value) => report(value);
}
