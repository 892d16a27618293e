using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Many quick calls, so that a lost wake-up or a helper in the wrong call shows as a hang or a wrong sum.</summary>
public sealed class WorkerPoolStressTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Test]
    public void ThousandsOfQuickCallsAllFinish([Values(2, 3, 7)] int threads) => InTime(() =>
    {
        using WorkerPool pool = new(threads);
        long total = 0;
        long expected = 0;
        Random random = new(threads);
        for (int call = 0; call < 10_000; call++)
        {
            int count = 1 + (call % 9);
            Sum body = new(ref total, spins: call % 3 == 0 ? 20 : 0); // long enough for helpers to come in, or too short
            pool.For(count, 1, ref body);
            expected += count * (count - 1) / 2;
            if (Volatile.Read(ref total) != expected)
                throw new InvalidOperationException($"call {call} returned before its work was done");

            // Pauses around the time after which helpers stop spinning and sleep.
            if (call % 50 == 0)
                Thread.SpinWait(random.Next(4_000));
        }
    });

    [Test]
    public void ConcurrentCallersTakeTurns() => InTime(() =>
    {
        using WorkerPool pool = new(3);
        long[] totals = new long[6];
        Thread[] callers = new Thread[totals.Length];
        Exception? failure = null;
        for (int caller = 0; caller < callers.Length; caller++)
        {
            int mine = caller;
            callers[caller] = new Thread(() =>
            {
                try
                {
                    for (int call = 0; call < 500; call++)
                        pool.For(10, call % 4 == 0 ? 10 : 1, (_, start, end) => Interlocked.Add(ref totals[mine], end - start));
                }
                catch (Exception exception)
                {
                    failure = exception;
                }
            });
            callers[caller].Start();
        }

        foreach (Thread caller in callers)
            caller.Join();
        if (failure is not null || totals.Any(total => total != 5_000))
            throw new InvalidOperationException($"totals {string.Join(' ', totals)}", failure);
    });

    [Test]
    public void DisposeBetweenConcurrentCallsEndsThemInOrder() => InTime(() =>
    {
        for (int round = 0; round < 100; round++)
        {
            WorkerPool pool = new(3);
            long done = 0;
            bool refused = false;
            Thread caller = new(() =>
            {
                try
                {
                    while (true)
                    {
                        pool.For(10, 1, (_, start, end) => Interlocked.Add(ref done, end - start));
                        if (Volatile.Read(ref done) % 10 != 0)
                            return;
                    }
                }
                catch (ObjectDisposedException)
                {
                    refused = true;
                }
            });
            caller.Start();
            Thread.SpinWait(round * 100);
            pool.Dispose();
            caller.Join();
            if (!refused)
                throw new InvalidOperationException($"round {round}: a call returned with {done} elements done");
        }
    });

    [Test]
    public void PoolsCanBeMadeAndDisposedAtOnce() => InTime(() =>
    {
        for (int round = 0; round < 300; round++)
        {
            using WorkerPool pool = new(1 + (round % 5));
            if (round % 3 == 0)
                pool.Run(_ => { });
        }
    });

    private static void InTime(Action work)
    {
        Exception? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                work();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
        })
        { IsBackground = true };
        thread.Start();
        Assert.That(thread.Join(Patience), "still running: a wake-up was lost");
        Assert.That(failure, Is.Null);
    }

    private readonly unsafe struct Sum : IRangeBody
    {
        private readonly long* _total;
        private readonly int _spins;

        // The variable lives on the caller's stack, which outlasts the call.
        public Sum(ref long total, int spins)
        {
            _total = (long*)Unsafe.AsPointer(ref total);
            _spins = spins;
        }

        public void Invoke(int worker, nint start, nint end)
        {
            Thread.SpinWait(_spins);
            for (nint i = start; i < end; i++)
                Interlocked.Add(ref *_total, i);
        }
    }
}
