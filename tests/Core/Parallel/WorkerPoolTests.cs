namespace EmbeddingKernels.Core.Tests;

/// <summary>What a pool promises to one caller: ranges, exceptions, nesting, an orderly end.</summary>
public sealed class WorkerPoolTests
{
    [Test]
    public void RangesCoverEveryElementOnce([Values(1, 2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        foreach (nint count in new nint[] { 0, 1, 2, 3, 7, 64, 1000, 4097 })
        {
            foreach (nint grain in new[] { 1, 2, 3, 64, 1000, 5000, nint.MaxValue })
            {
                int[] visits = new int[count];
                int wrong = 0;
                int[] threadOfWorker = new int[threads];
                pool.For(count, grain, (worker, start, end) =>
                {
                    // Ranges start at multiples of the grain and only the last is shorter; a worker stays on its thread.
                    int thread = Environment.CurrentManagedThreadId;
                    int owner = Interlocked.CompareExchange(ref threadOfWorker[worker], thread, 0);
                    if (start % grain != 0 || end - start != nint.Min(grain, count - start) || (owner != 0 && owner != thread))
                        Interlocked.Increment(ref wrong);
                    for (nint i = start; i < end; i++)
                        Interlocked.Increment(ref visits[i]);
                });
                Assert.That(visits, Is.All.EqualTo(1), $"{count} by {grain}");
                Assert.That(wrong, Is.Zero, $"{count} by {grain}");
            }
        }
    }

    [Test]
    public void SizesNearTheLimitDoNotOverflow([Values(1, 3)] int threads)
    {
        using WorkerPool pool = new(threads);
        nint grain = (nint.MaxValue / 3) + 1;
        List<(nint Start, nint End)> ranges = [];
        pool.For(nint.MaxValue, grain, (_, start, end) =>
        {
            lock (ranges)
                ranges.Add((start, end));
        });
        Assert.That(ranges.Order(), Is.EqualTo(new[] { (0, grain), (grain, 2 * grain), (2 * grain, nint.MaxValue) }));
    }

    [Test]
    public void OneThreadIsTheCaller()
    {
        int helpers = OperatingSystem.IsLinux() ? HelperThreads.Count() : 0;
        using WorkerPool pool = new(1);
        int caller = Environment.CurrentManagedThreadId;
        foreach (WorkerPool single in new[] { pool, WorkerPool.Serial })
            single.For(10, 3, (worker, _, _) => Assert.That((worker, Environment.CurrentManagedThreadId), Is.EqualTo((0, caller))));
        if (OperatingSystem.IsLinux())
            Assert.That(HelperThreads.Count(), Is.EqualTo(helpers));
    }

    [Test]
    public void RunCallsEachNumberOnce([Values(1, 2, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        int[] calls = new int[threads];
        for (int i = 0; i < 100; i++)
            pool.Run(number => Interlocked.Increment(ref calls[number]));
        Assert.That(calls, Is.All.EqualTo(100));
    }

    /// <summary>The caller and the helpers are in the body at the same time: each waits there for the others.</summary>
    [Test]
    public void AllThreadsWorkAtOnce()
    {
        using WorkerPool pool = new(4);
        using Barrier all = new(4);
        int met = 0;
        pool.Run(_ => Interlocked.Add(ref met, all.SignalAndWait(TimeSpan.FromSeconds(30)) ? 1 : 0));
        Assert.That(met, Is.EqualTo(4));
    }

    [Test]
    public void AnExceptionStopsTheLoopAndReachesTheCallerOnce([Values(1, 2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        for (int round = 0; round < 50; round++)
        {
            int calls = 0;
            InvalidTimeZoneException caught = Assert.Throws<InvalidTimeZoneException>(() => pool.For(10_000, 1, (worker, _, _) =>
            {
                Interlocked.Increment(ref calls);
                throw new InvalidTimeZoneException($"worker {worker}");
            }))!;
            Assert.That(caught.Message, Does.Match("^worker [0-6]$"));
            Assert.That(calls, Is.InRange(1, threads), "each worker fails once at most and takes no further range");

            int done = 0;
            pool.For(100, 1, (_, _, _) => Interlocked.Increment(ref done));
            Assert.That(done, Is.EqualTo(100), "the pool works after a failure");
        }
    }

    /// <summary>Two workers fail at the same time: the caller gets one exception as it was thrown, not both and not wrapped.</summary>
    [Test]
    public void OfTwoExceptionsOneIsLost()
    {
        using WorkerPool pool = new(2);
        using Barrier both = new(2);
        InvalidTimeZoneException caught = Assert.Throws<InvalidTimeZoneException>(() => pool.Run(number =>
        {
            both.SignalAndWait(TimeSpan.FromSeconds(30));
            throw new InvalidTimeZoneException($"{number}");
        }))!;
        Assert.That(caught.Message, Is.AnyOf("0", "1"));
        Assert.That(caught.StackTrace, Does.Contain(nameof(OfTwoExceptionsOneIsLost)), "the trace leads to the body");
        Assert.DoesNotThrow(() => pool.Run(_ => { }));
    }

    [TestCase(1, 100)]
    [TestCase(2, 100)]
    [TestCase(2, 1)]
    public void ACallFromInsideWorkIsRefused(int outerThreads, int count)
    {
        using WorkerPool outer = new(outerThreads);
        using WorkerPool inner = new(2);
        foreach (WorkerPool pool in outerThreads == 1 ? [inner] : new[] { inner, outer })
        {
            foreach (int innerCount in new[] { 0, 1, 100 })
            {
                Assert.Throws<InvalidOperationException>(
                    () => outer.For(count, 1, (_, _, _) => pool.For(innerCount, 1, (_, _, _) => { })), $"{innerCount} elements inside");
            }
        }

        Assert.DoesNotThrow(() => inner.For(100, 1, (_, _, _) => { }), "after the refusal the thread is outside again");
    }

    [Test]
    public void SerialLoopsInsideWorkAreAllowedAndStayInside()
    {
        using WorkerPool pool = new(3);
        int done = 0;
        pool.For(30, 1, (_, _, _) => WorkerPool.Serial.For(10, 1, (_, _, _) => Interlocked.Increment(ref done)));
        Assert.That(done, Is.EqualTo(300));
        Assert.Throws<InvalidOperationException>(() => pool.For(30, 1, (_, _, _) =>
        {
            WorkerPool.Serial.For(10, 1, (_, _, _) => { });
            pool.For(10, 1, (_, _, _) => { });
        }));
    }

    [Test]
    public void NoThreadSurvivesDispose()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("skipped: threads are counted in /proc/self/task");
        int before = HelperThreads.Count();
        WorkerPool idle = new(5);
        WorkerPool used = new(4);
        for (int i = 0; i < 100; i++)
            used.For(100, 1, (_, _, _) => { });
        Assert.That(HelperThreads.CountWithin(before + 7), Is.EqualTo(before + 7));
        used.Dispose();
        Assert.That(HelperThreads.CountWithin(before + 4), Is.EqualTo(before + 4));
        Thread.Sleep(20); // the helpers sleep now, past their spinning
        idle.Dispose();
        Assert.That(HelperThreads.CountWithin(before), Is.EqualTo(before));
    }

    [Test]
    public void ADisposedPoolRefusesWork([Values(1, 2)] int threads)
    {
        WorkerPool pool = new(threads);
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pool.For(10, 1, (_, _, _) => { }));
        Assert.Throws<ObjectDisposedException>(() => pool.For(0, 1, (_, _, _) => { }));
        Assert.Throws<ObjectDisposedException>(() => pool.Run(_ => { }));
    }

    [Test]
    public void TheSerialPoolCannotBeDisposed()
    {
        WorkerPool.Serial.Dispose();
        int done = 0;
        WorkerPool.Serial.For(10, 1, (_, _, _) => done++);
        Assert.That(done, Is.EqualTo(10));
    }

    [Test]
    public void DisposeFromInsideTheWorkIsRefused()
    {
        using WorkerPool pool = new(2);
        Assert.Throws<InvalidOperationException>(() => pool.For(100, 1, (_, _, _) => pool.Dispose()));
        Assert.DoesNotThrow(() => pool.Run(_ => { }));
    }

    [Test]
    public void BadArgumentsAreNamed()
    {
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(0))!.ParamName, Is.EqualTo("threads"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(-1))!.ActualValue, Is.EqualTo(-1));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(1025))!.ParamName, Is.EqualTo("threads"));
        using WorkerPool pool = new(2);
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => pool.For(-1, 1, (_, _, _) => { }))!.ParamName, Is.EqualTo("count"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => pool.For(1, 0, (_, _, _) => { }))!.ParamName, Is.EqualTo("grain"));
        Assert.That(Assert.Throws<ArgumentNullException>(() => pool.For(1, 1, null!))!.ParamName, Is.EqualTo("body"));
        Assert.That(Assert.Throws<ArgumentNullException>(() => pool.Run(null!))!.ParamName, Is.EqualTo("body"));
    }

    /// <summary>A struct body is copied, so its own fields are scratch of one worker.</summary>
    [Test]
    public void AStructBodyIsCopiedToEachWorker([Values(1, 3)] int threads)
    {
        using WorkerPool pool = new(threads);
        Counting body = new(new int[threads]);
        pool.For(1000, 1, ref body);
        Assert.That(body.Mine, Is.Zero, "the caller's own copy is untouched");
        Assert.That(body.Totals.Sum(), Is.EqualTo(1000));
    }

    [Test]
    public void CallsAllocateNothing([Values(1, 2)] int threads)
    {
        using WorkerPool pool = new(threads);
        Counting body = new(new int[threads]);
        for (int i = 0; i < 10; i++)
            pool.For(10, 1, ref body);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
            pool.For(10, 1, ref body);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    private struct Counting(int[] totals) : IRangeBody
    {
        public int Mine;

        public int[] Totals { get; } = totals;

        public void Invoke(int worker, nint start, nint end)
        {
            Mine += (int)(end - start);
            Totals[worker] = Mine;
        }
    }
}
