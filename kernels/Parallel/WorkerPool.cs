using System.Runtime.ExceptionServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Fork-join over a fixed number of threads: the caller and <c>threads - 1</c> helpers that sleep between calls and end
/// with <see cref="Dispose"/>. One call runs at a time; further callers wait their turn.
/// </summary>
/// <remarks>
/// Ranges are handed out in chunks as workers ask for them, so a core that is busy elsewhere delays one chunk and not
/// half of the work. An exception in a worker stops the handing out and reaches the caller once, when all have stopped.
/// </remarks>
public sealed class WorkerPool : IDisposable
{
    // About 50 us: longer than the gap between the steps of one algorithm, shorter than anybody notices as load.
    private const int SpinsBeforeSleep = 150;

    private readonly Thread[] _helpers;
    private readonly Lock _turn = new();
    private readonly object _wake = new();
    private Job? _job;
    private int _generation;
    private int _running;
    private bool _disposed;

    [ThreadStatic]
    private static bool _insideWork;

    /// <summary>Starts <paramref name="threads"/> - 1 helper threads.</summary>
    /// <param name="threads">Threads that work, the caller included; 1 starts none.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threads"/> is not in 1..1024.</exception>
    public WorkerPool(int threads)
    {
        if (threads is < 1 or > 1024)
            throw new ArgumentOutOfRangeException(nameof(threads), threads, "The number of threads must be 1 to 1024.");

        Threads = threads;
        _helpers = new Thread[threads - 1];
        for (int i = 0; i < _helpers.Length; i++)
        {
            int worker = i + 1;
            _helpers[i] = new Thread(() => Help(worker)) { IsBackground = true, Name = $"EmbeddingKernels worker {worker}" };
            _helpers[i].Start();
        }
    }

    /// <summary>One thread, the caller's: for calls that were given no pool. Never disposed, as it owns nothing.</summary>
    public static WorkerPool Serial { get; } = new(1);

    /// <summary>Threads that work in a call, the caller included.</summary>
    public int Threads { get; }

    /// <summary>
    /// Calls <paramref name="body"/> for ranges that together cover 0 to <paramref name="count"/> - 1, each of
    /// <paramref name="grain"/> elements but the last, in any order and on any worker.
    /// </summary>
    /// <param name="count">Number of elements.</param>
    /// <param name="grain">Elements per range, at least 1.</param>
    /// <param name="body">Gets the worker's number (0 to Threads - 1), the range's start and its end (exclusive).</param>
    /// <exception cref="InvalidOperationException">Called from inside work of a pool.</exception>
    /// <exception cref="ObjectDisposedException">The pool was disposed.</exception>
    public void For(nint count, nint grain, Action<int, nint, nint> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        DelegateBody adapter = new(body);
        For(count, grain, ref adapter);
    }

    /// <summary>Calls <paramref name="body"/> once for each number 0 to <see cref="Threads"/> - 1, as far as possible at the same time.</summary>
    /// <inheritdoc cref="For(nint, nint, Action{int, nint, nint})"/>
    public void Run(Action<int> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        For(Threads, 1, (_, start, _) => body((int)start));
    }

    /// <summary>The form without a delegate, whose body is compiled into the loop. The body is copied to each worker.</summary>
    internal void For<TBody>(nint count, nint grain, ref TBody body)
        where TBody : struct, IRangeBody
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfLessThan(grain, 1);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (count == 0)
            return;
        if (Threads == 1 || count <= grain)
        {
            for (nint start = 0; start < count; start += grain)
                body.Invoke(0, start, Math.Min(start + grain, count));
            return;
        }

        if (_insideWork)
            throw new InvalidOperationException("A pool was called from inside the work of a pool: nested parallel loops are not supported.");

        lock (_turn)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Job<TBody> job = new(body, count, grain);
            Volatile.Write(ref _running, _helpers.Length);
            lock (_wake)
            {
                _job = job;
                Volatile.Write(ref _generation, _generation + 1);
                Monitor.PulseAll(_wake);
            }

            Work(job, worker: 0);
            WaitForHelpers();
            _job = null;
            job.Rethrow();
        }
    }

    /// <summary>Ends the helper threads and waits for them. Further calls do nothing.</summary>
    public void Dispose()
    {
        if (_helpers.Length == 0 || _disposed)
            return;

        lock (_turn)
        {
            lock (_wake)
            {
                _disposed = true;
                Monitor.PulseAll(_wake);
            }

            foreach (Thread helper in _helpers)
                helper.Join();
        }
    }

    private void Help(int worker)
    {
        int seen = 0;
        while (true)
        {
            for (int spin = 0; spin < SpinsBeforeSleep && Volatile.Read(ref _generation) == seen && !Volatile.Read(ref _disposed); spin++)
                Thread.SpinWait(8);

            Job job;
            lock (_wake)
            {
                while (_generation == seen && !_disposed)
                    Monitor.Wait(_wake);
                if (_generation == seen)
                    return;
                seen = _generation;
                job = _job!;
            }

            Work(job, worker);
            if (Interlocked.Decrement(ref _running) == 0)
            {
                lock (_wake)
                    Monitor.PulseAll(_wake);
            }
        }
    }

    private static void Work(Job job, int worker)
    {
        _insideWork = true;
        try
        {
            job.Work(worker);
        }
        finally
        {
            _insideWork = false;
        }
    }

    private void WaitForHelpers()
    {
        for (int spin = 0; spin < SpinsBeforeSleep && Volatile.Read(ref _running) > 0; spin++)
            Thread.SpinWait(8);

        lock (_wake)
        {
            while (Volatile.Read(ref _running) > 0)
                Monitor.Wait(_wake);
        }
    }

    private readonly struct DelegateBody(Action<int, nint, nint> body) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end) => body(worker, start, end);
    }

    private abstract class Job
    {
        public abstract void Work(int worker);
    }

    private sealed class Job<TBody>(TBody body, nint count, nint grain) : Job
        where TBody : struct, IRangeBody
    {
        private readonly IsaLevel? _level = Isa.Override;
        private long _next;
        private ExceptionDispatchInfo? _failure;

        public override void Work(int worker)
        {
            IsaLevel? previous = Isa.Override;
            Isa.Override = _level;
            try
            {
                TBody mine = body;
                while (_failure is null)
                {
                    nint start = (nint)(Interlocked.Add(ref _next, grain) - grain);
                    if (start >= count)
                        return;
                    mine.Invoke(worker, start, Math.Min(start + grain, count));
                }
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
            }
            finally
            {
                Isa.Override = previous;
            }
        }

        public void Rethrow() => _failure?.Throw();
    }
}

/// <summary>The body of a parallel loop over ranges; see <see cref="WorkerPool"/>.</summary>
internal interface IRangeBody
{
    /// <summary>Does elements <paramref name="start"/> to <paramref name="end"/> - 1 as worker <paramref name="worker"/>.</summary>
    void Invoke(int worker, nint start, nint end);
}
