using System.CommandLine;
using System.Globalization;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>How a map is to be made.</summary>
/// <param name="Tsne">The settings of t-SNE.</param>
internal sealed record MapSettings(TsneOptions Tsne)
{
    /// <summary>One perplexity, or several for affinities that are their mean; those of <see cref="Tsne"/> where none are given.</summary>
    public IReadOnlyList<double> Perplexities { get; init; } = [Tsne.Perplexity];

    /// <summary>Principal components to reduce the columns to first, 0 for none; null where the data decides.</summary>
    public int? Components { get; init; }

    /// <summary>Neighbours that a click on a point of the page lists; null where the number of points decides.</summary>
    public int? Listed { get; init; }

    /// <summary>How distances become affinities.</summary>
    public AffinityKernel Kernel => Perplexities.Count == 1 ? AffinityKernel.Perplexity(Perplexities[0]) : AffinityKernel.Multiscale([.. Perplexities]);

    /// <summary>Neighbours of each point that count: three times the perplexity, as far as there are so many.</summary>
    public int NeighborCount(nint rows) => (int)Math.Clamp(Math.Min(3 * Perplexities.Max(), rows - 1), 1, int.MaxValue);
}

/// <summary>The options of <c>embed map</c> that say how the map is made.</summary>
internal sealed class MapArguments
{
    private static readonly TsneOptions Defaults = new();

    private readonly Option<string> _perplexity = new("--perplexity")
    {
        Description = "Effective number of neighbours, or several for near and far ones: 30,300",
        DefaultValueFactory = _ => Text(Defaults.Perplexity),
    };

    private readonly Option<string> _metric = Choice("--metric", "euclidean, cosine or dot [default: cosine for words, else euclidean]", null, "euclidean", "cosine", "dot");

    private readonly Option<int?> _components = new("--pca")
    {
        Description = $"Principal components to reduce the columns to first, 0 for none [default: {MapCommand.Components} where more than {MapCommand.ManyColumns} columns are compared by euclidean, else none]",
    };

    private readonly Option<string> _neighbors = Choice("--neighbors", "How neighbours are found: auto, exact or approx", "auto", "auto", "exact", "approx");

    private readonly Option<int> _dimensions = new("--dimensions")
    {
        Description = "Axes of the map: 1, 2 or 3; other than 2 for a .npy only",
        DefaultValueFactory = _ => Defaults.Dimensions,
    };

    private readonly Option<string> _init = Choice("--init", "Where the map starts: pca, random or spectral", "pca", "pca", "random", "spectral");

    private readonly Option<string> _method = Choice("--method", "How repulsion is computed: auto, exact, bh (Barnes-Hut) or fft", "auto", "auto", "exact", "bh", "fft");

    private readonly Option<double> _theta = new("--theta")
    {
        Description = "Coarseness of bh: 0 is exact",
        DefaultValueFactory = _ => Defaults.Theta,
    };

    private readonly Option<int> _iterations = new("--iterations") { Description = "Gradient steps, both phases", DefaultValueFactory = _ => Defaults.Iterations };

    private readonly Option<int> _earlyIterations = new("--early-iterations")
    {
        Description = "Steps of the first phase, in which clusters form",
        DefaultValueFactory = _ => Defaults.EarlyExaggerationIterations,
    };

    private readonly Option<float> _earlyExaggeration = new("--early-exaggeration")
    {
        Description = "Factor of the attraction in the first phase",
        DefaultValueFactory = _ => Defaults.EarlyExaggeration,
    };

    private readonly Option<float> _exaggeration = new("--exaggeration")
    {
        Description = "Factor of the attraction in the second phase; above 1 for denser clusters",
        DefaultValueFactory = _ => Defaults.Exaggeration,
    };

    private readonly Option<string> _learningRate = new("--learning-rate")
    {
        Description = "Factor of the gradient: auto, max(rows / early exaggeration / 4, 50), or a number",
        DefaultValueFactory = _ => "auto",
    };

    private readonly Option<float?> _finalLearningRate = new("--final-learning-rate")
    {
        Description = "The same in the second phase [default: that of the first]; rows / 4, openTSNE's, converges in fewer iterations",
    };

    private readonly Option<double> _degreesOfFreedom = new("--dof")
    {
        Description = "Degrees of freedom of the map's kernel; below 1 for finer clusters",
        DefaultValueFactory = _ => Defaults.DegreesOfFreedom,
    };

    private readonly Option<int?> _listed = new("--list-neighbors")
    {
        Description = $"Neighbours that a click on a point lists [default: {MapCommand.ListedNeighbours} up to {MapCommand.ListedPoints} rows, else none, for the size of the page]",
    };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[
            _perplexity, _metric, _components, _neighbors, _dimensions, _init, _method, _theta, _iterations, _earlyIterations,
            _earlyExaggeration, _exaggeration, _learningRate, _finalLearningRate, _degreesOfFreedom, _listed])
        {
            command.Add(option);
        }
    }

    /// <summary>What was typed.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="common">The options of every command.</param>
    /// <param name="words">Whether the rows are word vectors.</param>
    /// <exception cref="UsageException">A number is none.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range.</exception>
    public MapSettings Read(ParseResult parsed, CommonOptions common, bool words)
    {
        double[] perplexities = [.. parsed.GetValue(_perplexity)!.Split(',').Select(text => Number(_perplexity, text, "a number, or several with commas"))];
        string rate = parsed.GetValue(_learningRate)!;
        if (parsed.GetValue(_components) is < 0 and int components)
            throw new UsageException($"--pca must be 0 or more, not {components}.");
        if (parsed.GetValue(_listed) is < 0 and int listed)
            throw new UsageException($"--list-neighbors must be 0 or more, not {listed}.");

        TsneOptions options = new()
        {
            Perplexity = perplexities[0],
            Metric = parsed.GetValue(_metric) is { Length: > 0 } metric ? Enum.Parse<TsneMetric>(metric, ignoreCase: true) : words ? TsneMetric.Cosine : TsneMetric.Euclidean,
            Neighbors = parsed.GetValue(_neighbors)!.ToUpperInvariant() switch
            {
                "EXACT" => NeighborMethod.Exact,
                "APPROX" => NeighborMethod.Approximate,
                _ => NeighborMethod.Auto,
            },
            Dimensions = parsed.GetValue(_dimensions),
            Initialization = Enum.Parse<TsneStart>(parsed.GetValue(_init)!, ignoreCase: true),
            Method = parsed.GetValue(_method)!.ToUpperInvariant() switch
            {
                "EXACT" => TsneMethod.Exact,
                "BH" => TsneMethod.BarnesHut,
                "FFT" => TsneMethod.Fft,
                _ => TsneMethod.Auto,
            },
            Theta = parsed.GetValue(_theta),
            Iterations = parsed.GetValue(_iterations),
            EarlyExaggerationIterations = parsed.GetValue(_earlyIterations),
            EarlyExaggeration = parsed.GetValue(_earlyExaggeration),
            Exaggeration = parsed.GetValue(_exaggeration),
            LearningRate = rate.Equals("auto", StringComparison.OrdinalIgnoreCase) ? null : (float)Number(_learningRate, rate, "auto or a number"),
            FinalLearningRate = parsed.GetValue(_finalLearningRate),
            DegreesOfFreedom = parsed.GetValue(_degreesOfFreedom),
            Threads = common.Threads(parsed),
            Seed = common.Seed(parsed),
        };
        options.Validate();
        if (options is { Method: TsneMethod.BarnesHut, Dimensions: < 2 } or { Method: TsneMethod.Fft, Dimensions: > 2 })
            throw new UsageException($"--method {parsed.GetValue(_method)} has no form for --dimensions {options.Dimensions}: bh takes 2 or 3, fft 1 or 2.");
        return new MapSettings(options)
        {
            Perplexities = perplexities,
            Components = parsed.GetValue(_components),
            Listed = parsed.GetValue(_listed),
        };
    }

    private static Option<string> Choice(string name, string description, string? otherwise, params string[] values)
    {
        Option<string> option = new(name) { Description = description };
        if (otherwise is not null)
            option.DefaultValueFactory = _ => otherwise;
        option.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, values);
        return option;
    }

    private static double Number(Option option, string text, string wanted) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            ? value
            : throw new UsageException($"{option.Name} must be {wanted}, not '{text}'.");

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
}
