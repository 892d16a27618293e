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

    // The pool whose work this thread is doing.
    [ThreadStatic]
    private static WorkerPool? _current;

    private readonly Thread[] _helpers;
    private readonly Lock _turn = new();
    private readonly object _wake = new();
    private readonly object _done = new();
    private Job? _spare; // the last call's, so that a loop of like calls allocates nothing
    private Job? _job; // null between calls, so a helper that wakes late finds nothing to join
    private int _generation;
    private int _joined; // helpers inside the current job; grows under _wake while _job is set
    private bool _disposed;

    /// <summary>Starts <paramref name="threads"/> - 1 helper threads.</summary>
    /// <param name="threads">Threads that work, the caller included; 1 starts none.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threads"/> is not in 1..1024.</exception>
    /// <exception cref="OutOfMemoryException">The operating system refuses so many threads; those that were started have ended.</exception>
    public WorkerPool(int threads)
    {
        if (threads is < 1 or > 1024)
            throw new ArgumentOutOfRangeException(nameof(threads), threads, "The number of threads must be 1 to 1024.");

        Threads = threads;
        _helpers = new Thread[threads - 1];
        for (int i = 0; i < _helpers.Length; i++)
        {
            int worker = i + 1;
            Thread helper = new(() => Help(worker)) { IsBackground = true, Name = $"EmbeddingKernels worker {worker}" };
            try
            {
                helper.Start();
            }
            catch
            {
                EndHelpers(started: i);
                throw;
            }

            _helpers[i] = helper;
        }
    }

    /// <summary>One thread, the caller's: for calls that were given no pool. Disposing it does nothing, as it owns nothing.</summary>
    public static WorkerPool Serial { get; } = new(1);

    /// <summary>Threads that work in a call, the caller included.</summary>
    public int Threads { get; }

    /// <summary>
    /// Calls <paramref name="body"/> for ranges that together cover 0 to <paramref name="count"/> - 1, each of
    /// <paramref name="grain"/> elements but the last, in any order and on any worker.
    /// </summary>
    /// <param name="count">Number of elements.</param>
    /// <param name="grain">Elements per range, at least 1.</param>
    /// <param name="body">
    /// Gets the worker's number (0 to Threads - 1; no two threads of one call have the same), the range's start and its end
    /// (exclusive).
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is negative or <paramref name="grain"/> below 1.</exception>
    /// <exception cref="InvalidOperationException">
    /// Called from inside the work of a pool, which only pools of one thread may be.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The pool was disposed.</exception>
    public void For(nint count, nint grain, Action<int, nint, nint> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        DelegateBody adapter = new(body);
        For(count, grain, ref adapter);
    }

    /// <summary>
    /// Calls <paramref name="body"/> once for each number 0 to <see cref="Threads"/> - 1, at the same time as far as the
    /// processor has cores free; a thread that comes late may find its number done by another.
    /// </summary>
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
        if (_current is not null && Threads > 1)
            throw new InvalidOperationException("A pool was called from inside the work of a pool: nested parallel loops are not supported.");
        if (count == 0)
            return;

        if (Threads == 1 || count <= grain)
            RunHere(count, grain, body);
        else
            RunOnAll(count, grain, body);
    }

    /// <summary>Ends the helper threads and waits for them. Further calls do nothing.</summary>
    /// <exception cref="InvalidOperationException">Called from inside the pool's own work, which it would wait for.</exception>
    public void Dispose()
    {
        if (_disposed || ReferenceEquals(this, Serial))
            return;
        if (_current == this)
            throw new InvalidOperationException("A pool cannot be disposed from inside its own work.");

        lock (_turn)
            EndHelpers(_helpers.Length);
    }

    private void EndHelpers(int started)
    {
        lock (_wake)
        {
            Volatile.Write(ref _disposed, true);
            Monitor.PulseAll(_wake);
        }

        for (int i = 0; i < started; i++)
            _helpers[i].Join();
    }

    private void RunHere<TBody>(nint count, nint grain, TBody body)
        where TBody : struct, IRangeBody
    {
        WorkerPool? outer = _current;
        _current = this;
        try
        {
            for (nint start = 0, end; start < count; start = end)
            {
                end = start + Math.Min(grain, count - start);
                body.Invoke(0, start, end);
            }
        }
        finally
        {
            _current = outer;
        }
    }

    private void RunOnAll<TBody>(nint count, nint grain, TBody body)
        where TBody : struct, IRangeBody
    {
        ExceptionDispatchInfo? failure;
        lock (_turn)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Job<TBody> job = _spare as Job<TBody> ?? new Job<TBody>();
            _spare = job;
            job.Prepare(body, count, grain);
            Publish(job);
            Work(job, worker: 0);
            Withdraw();
            failure = job.Finish();
        }

        failure?.Throw();
    }

    private void Publish(Job job)
    {
        lock (_wake)
        {
            _job = job;
            Volatile.Write(ref _generation, _generation + 1);
            if (job.Ranges > _helpers.Length)
            {
                Monitor.PulseAll(_wake);
                return;
            }

            // The caller takes a range itself, so that many helpers at most find work.
            for (nint i = 1; i < job.Ranges; i++)
                Monitor.Pulse(_wake);
        }
    }

    /// <summary>
    /// Lets no more helpers in and waits for those inside. A helper that the operating system has not let run yet is not
    /// waited for: with a busy core that would cost a time slice in each call.
    /// </summary>
    private void Withdraw()
    {
        lock (_wake)
            _job = null;

        for (int spin = 0; spin < SpinsBeforeSleep && Volatile.Read(ref _joined) > 0; spin++)
            Thread.SpinWait(8);

        lock (_done)
        {
            while (Volatile.Read(ref _joined) > 0)
                Monitor.Wait(_done);
        }
    }

    private void Help(int worker)
    {
        int seen = 0;
        while (true)
        {
            for (int spin = 0; spin < SpinsBeforeSleep && Volatile.Read(ref _generation) == seen && !Volatile.Read(ref _disposed); spin++)
                Thread.SpinWait(8);

            Job? job;
            lock (_wake)
            {
                while (_generation == seen && !_disposed)
                    Monitor.Wait(_wake);
                if (_disposed)
                    return;
                seen = _generation;
                job = _job;
                if (job is null)
                    continue;
                Interlocked.Increment(ref _joined);
            }

            Work(job, worker);
            if (Interlocked.Decrement(ref _joined) == 0)
            {
                lock (_done)
                    Monitor.Pulse(_done);
            }
        }
    }

    private void Work(Job job, int worker)
    {
        WorkerPool? outer = _current;
        _current = this;
        job.Work(worker); // keeps exceptions to itself
        _current = outer;
    }

    private readonly struct DelegateBody(Action<int, nint, nint> body) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end) => body(worker, start, end);
    }

    private abstract class Job
    {
        public nint Ranges { get; protected set; }

        public abstract void Work(int worker);
    }

    private sealed class Job<TBody> : Job
        where TBody : struct, IRangeBody
    {
        private TBody _body;
        private nint _count;
        private nint _grain;
        private IsaLevel? _level;
        private long _next;
        private ExceptionDispatchInfo? _failure;

        public void Prepare(TBody body, nint count, nint grain)
        {
            _body = body;
            _count = count;
            _grain = grain;
            _level = Isa.Override;
            _next = 0;
            Ranges = ((count - 1) / grain) + 1; // counted instead of elements, because start + grain might overflow
        }

        public override void Work(int worker)
        {
            IsaLevel? previous = Isa.Override;
            Isa.Override = _level;
            try
            {
                TBody body = _body;
                while (_failure is null)
                {
                    nint range = (nint)(Interlocked.Increment(ref _next) - 1);
                    if (range >= Ranges)
                        return;
                    nint start = range * _grain;
                    body.Invoke(worker, start, start + Math.Min(_grain, _count - start));
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

        /// <summary>Lets go of what the call referred to.</summary>
        public ExceptionDispatchInfo? Finish()
        {
            ExceptionDispatchInfo? failure = _failure;
            _failure = null;
            _body = default;
            return failure;
        }
    }
}

/// <summary>The body of a parallel loop over ranges; see <see cref="WorkerPool"/>.</summary>
internal interface IRangeBody
{
    /// <summary>Does elements <paramref name="start"/> to <paramref name="end"/> - 1 as worker <paramref name="worker"/>.</summary>
    void Invoke(int worker, nint start, nint end);
}
