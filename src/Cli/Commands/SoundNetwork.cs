using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>A network that is fed spectrograms, one sound at a time: batch x 1 x frames x numbers of a frame, the last two in either order.</summary>
internal sealed class SoundNetwork : IDisposable
{
    private readonly Network _network;
    private readonly string? _layer;
    private readonly WorkerPool _pool;
    private readonly int[] _declared;

    /// <param name="model">The file.</param>
    /// <param name="layer">The layer; null for what the classifier is fed, or the output where there is none.</param>
    /// <param name="pool">Threads to work on.</param>
    public SoundNetwork(string model, string? layer, WorkerPool pool)
    {
        _network = Network.Load(model);
        try
        {
            if (layer is not null && !_network.Layers.Contains(layer))
                throw new UsageException($"{model} has no layer '{layer}'. Layers: {string.Join(", ", _network.Layers)}.");
            _layer = layer ?? (_network.Layers.Contains("embedding") ? "embedding" : null);
            _pool = pool;
            _declared = [.. _network.Inputs[0].Shape];
            if (_network.Inputs.Count != 1 || _declared.Length is < 2 or > 4 || (_declared.Length == 4 && _declared[1] is not (1 or -1)))
                throw new UsageException($"{model} does not take spectrograms: its input is {string.Join(" x ", _declared)}, and must be batch x 1 x frames x numbers of a frame.");
        }
        catch
        {
            _network.Dispose();
            throw;
        }
    }

    /// <summary>How many frames the network takes; null where it takes any number.</summary>
    /// <param name="columns">Numbers of a frame.</param>
    public int? Frames(int columns)
    {
        int frames = _declared.Length == 2
            ? (_declared[1] % columns == 0 ? _declared[1] / columns : _declared[1] < 0 ? -1 : 0)
            : FramesFirst(columns) ? _declared[^2] : _declared[^2] == columns ? _declared[^1] : 0;
        if (frames == 0)
            throw new UsageException($"The network takes {string.Join(" x ", _declared)}, and a frame has {columns} numbers.");
        return frames > 0 ? frames : null;
    }

    /// <summary>The layer's values for one sound.</summary>
    public float[] Compute(FloatMatrix features)
    {
        int frames = (int)features.Rows, columns = (int)features.Columns;
        bool framesFirst = _declared.Length == 2 || FramesFirst(columns);
        float[] input = new float[frames * columns];
        for (int f = 0; f < frames; f++)
        {
            ReadOnlySpan<float> row = features.Row(f);
            for (int j = 0; j < columns; j++)
                input[framesFirst ? (f * columns) + j : (j * frames) + f] = row[j];
        }

        int[] plane = framesFirst ? [frames, columns] : [columns, frames];
        int[] shape = _declared.Length switch { 2 => [1, input.Length], 3 => [1, .. plane], _ => [1, 1, .. plane] };
        float[] output = new float[_network.LayerShape(_layer, shape).Aggregate(1, (a, b) => a * b)];
        _network.Run(input, shape, _layer, output, _pool);
        return output;
    }

    public void Dispose() => _network.Dispose();

    private bool FramesFirst(int columns) => _declared[^1] == columns || (_declared[^1] < 0 && _declared[^2] != columns);
}
