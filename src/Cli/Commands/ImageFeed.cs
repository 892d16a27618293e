using System.Runtime.ExceptionServices;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>
/// Reads pictures ahead on threads of its own and gives them, as a network's input, in the order of the files. At most
/// <see cref="Window"/> wait to be taken, so memory does not grow where the network is slower than the disk.
/// </summary>
internal sealed class ImageFeed : IDisposable
{
    private readonly IReadOnlyList<string> _files;
    private readonly ImagePreset _preset;
    private readonly int _height;
    private readonly int _width;
    private readonly Slot[] _slots;
    private readonly SemaphoreSlim _free;
    private readonly CancellationTokenSource _stop;
    private readonly Thread[] _readers;
    private int _next;
    private int _taken;

    public ImageFeed(IReadOnlyList<string> files, ImagePreset preset, int height, int width, int window, int threads, CancellationToken interrupt)
    {
        (_files, _preset, _height, _width) = (files, preset, height, width);
        _slots = new Slot[Math.Min(window, files.Count)];
        for (int i = 0; i < _slots.Length; i++)
            _slots[i] = new Slot(new float[3 * height * width]);
        _free = new SemaphoreSlim(_slots.Length);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(interrupt);
        _readers = new Thread[Math.Min(threads, _slots.Length)];
        for (int i = 0; i < _readers.Length; i++)
        {
            _readers[i] = new Thread(Read) { IsBackground = true, Name = "picture reader" };
            _readers[i].Start();
        }
    }

    /// <summary>Pictures that are kept ready at most.</summary>
    public int Window => _slots.Length;

    /// <summary>Takes the next picture, or the reason why it could not be read.</summary>
    /// <param name="input">Receives three planes where there is no problem.</param>
    /// <returns>Null, or what is wrong with the file.</returns>
    /// <exception cref="OperationCanceledException">The run was interrupted.</exception>
    public Exception? Take(Span<float> input)
    {
        Slot slot = _slots[_taken % _slots.Length];
        slot.Ready.Wait(_stop.Token);
        slot.Ready.Reset();
        Exception? problem = slot.Problem;
        if (problem is null)
            slot.Input.CopyTo(input);
        else if (!FeaturesWriter.IsFileProblem(problem))
            ExceptionDispatchInfo.Throw(problem);
        _taken++;
        _free.Release();
        return problem;
    }

    public void Dispose()
    {
        _stop.Cancel();
        foreach (Thread reader in _readers)
            reader.Join();
        foreach (Slot slot in _slots)
            slot.Ready.Dispose();
        _free.Dispose();
        _stop.Dispose();
    }

    private void Read()
    {
        try
        {
            while (true)
            {
                // A free slot first, then the number: so the files in work are never more than the slots, and none shares one.
                _free.Wait(_stop.Token);
                int i = Interlocked.Increment(ref _next) - 1;
                if (i >= _files.Count)
                    return;
                Slot slot = _slots[i % _slots.Length];
                try
                {
                    slot.Problem = null;
                    _preset.ToTensor(Picture.Load(_files[i]), _height, _width, slot.Input);
                }
#pragma warning disable CA1031 // whatever it is, the thread that takes the picture decides
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    slot.Problem = exception;
                }

                slot.Ready.Set();
            }
        }
        catch (OperationCanceledException)
        {
            // The run ends.
        }
    }

    private sealed class Slot(float[] input)
    {
        public float[] Input { get; } = input;

        public ManualResetEventSlim Ready { get; } = new();

        public Exception? Problem { get; set; }
    }
}
