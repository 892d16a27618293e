using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class AlignedBufferTests
{
    private const int HugePageFloats = (2 << 20) / sizeof(float);

    private static readonly nint[] Lengths =
        [0, 1, 2, 15, 16, 17, 1000, 4095, 4096, 4097, HugePageFloats - 1, HugePageFloats, HugePageFloats + 1, (3 * HugePageFloats) + 7];

    [TestCaseSource(nameof(Lengths))]
    public void MemoryIsAlignedZeroedAndWritable(nint length)
    {
        // The second time the allocator may hand out what the first has written.
        for (int round = 0; round < 2; round++)
        {
            using AlignedBuffer<float> buffer = new(length);
            Assert.That(buffer.Length, Is.EqualTo(length));
            Assert.That((long)buffer.Pointer % AlignedBuffer<float>.Alignment, Is.Zero);
            Assert.That(buffer.Pointer != null);
            Assert.That(buffer.AsSpan().ContainsAnyExcept(0f), Is.False);
            buffer.AsSpan().Fill(float.NaN);
            if (length > 0)
                Assert.That(buffer[length - 1], Is.NaN);
        }
    }

    [Test]
    public void OddElementSizesKeepTheAlignment()
    {
        using AlignedBuffer<Three> buffer = new(1001);
        Assert.That((long)buffer.Pointer % 64, Is.Zero);
        Assert.That((byte*)&buffer.Pointer[1000] - (byte*)buffer.Pointer, Is.EqualTo(3000));
        buffer[1000] = new Three { Last = 9 };
        Assert.That(buffer.AsSpan()[1000].Last, Is.EqualTo(9));
    }

    [Test]
    public void BadLengthsAreRefused()
    {
        ArgumentOutOfRangeException negative = Assert.Throws<ArgumentOutOfRangeException>(() => new AlignedBuffer<float>(-1))!;
        Assert.That((negative.ParamName, negative.ActualValue), Is.EqualTo(("length", (object)(nint)(-1))));
        nint overflow = (nint.MaxValue / sizeof(float)) + 1;
        ArgumentOutOfRangeException tooLong = Assert.Throws<ArgumentOutOfRangeException>(() => new AlignedBuffer<float>(overflow))!;
        Assert.That((tooLong.ParamName, tooLong.ActualValue), Is.EqualTo(("length", (object)overflow)));
    }

    [Test]
    public void MoreThanTheSystemHasIsOutOfMemory() =>
        Assert.That(() => new AlignedBuffer<float>(nint.MaxValue / sizeof(float)), Throws.InstanceOf<OutOfMemoryException>());

    [Test]
    public void IndexesAndRangesAreChecked()
    {
        using AlignedBuffer<int> buffer = new(10);
        buffer[9] = 3;
        Assert.That(buffer.AsSpan(8, 2).ToArray(), Is.EqualTo(new[] { 0, 3 }));
        Assert.That(buffer.AsSpan(10, 0).IsEmpty);
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => buffer[10]++)!.ActualValue, Is.EqualTo((nint)10));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer[-1]++);
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer[nint.MaxValue]++);
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => buffer.AsSpan(-1, 1))!.ParamName, Is.EqualTo("start"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => buffer.AsSpan(11, 0))!.ParamName, Is.EqualTo("start"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => buffer.AsSpan(5, -1))!.ParamName, Is.EqualTo("length"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => buffer.AsSpan(5, 6))!.ParamName, Is.EqualTo("length"));
        using AlignedBuffer<int> empty = new(0);
        Assert.Throws<ArgumentOutOfRangeException>(() => empty[0]++);
    }

    /// <summary>8 GiB of which two pages are touched: pages cost memory from their first touch on.</summary>
    [Test]
    public void MoreElementsThanAnIntCounts()
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
            Assert.Ignore("skipped: memory is committed at once on this system");
        nint length = unchecked((nint)((1L << 31) + 5));
        using AlignedBuffer<float> buffer = new(length);
        buffer[0] = 1;
        buffer[length - 1] = 2;
        Assert.That(buffer.Pointer[length - 1], Is.EqualTo(2f));
        Assert.That(buffer.AsSpan(length - 3, 3).ToArray(), Is.EqualTo(new[] { 0f, 0f, 2f }));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer[length]++);
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.AsSpan(length - 3, 4));
        Assert.Throws<InvalidOperationException>(() => buffer.AsSpan());

        MatrixView<float> view = new(buffer.Pointer, length / 5, 5);
        Assert.That(view.RowSpan(view.Rows - 1)[^1], Is.EqualTo(buffer[(view.Rows * 5) - 1]));
    }

    [Test]
    public void ADisposedBufferIsNotReachable([Values(10, 3 * HugePageFloats)] int length)
    {
        AlignedBuffer<float> buffer = new(length);
        buffer.Dispose();
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => _ = buffer.Pointer == null);
        Assert.Throws<ObjectDisposedException>(() => buffer[0]++);
        Assert.Throws<ObjectDisposedException>(() => buffer.AsSpan());
        Assert.Throws<ObjectDisposedException>(() => buffer.AsSpan(0, 1));
    }

    [Test]
    public void DisposeGivesAllPagesBack()
    {
        ProcMaps.SkipElsewhere();
        AlignedBuffer<byte> buffer = new((64 << 20) + 123);
        nint first = (nint)buffer.Pointer;
        nint last = first + buffer.Length - 1;
        Assert.That(ProcMaps.IsMapped(first) && ProcMaps.IsMapped(last));
        buffer.Dispose();
        Assert.That(ProcMaps.IsMapped(first) || ProcMaps.IsMapped(last), Is.False);
    }

    [Test]
    public void AForgottenBufferIsFreedByItsFinaliser()
    {
        ProcMaps.SkipElsewhere();
        nint address = Forget();
        for (int i = 0; i < 10 && ProcMaps.IsMapped(address); i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.That(ProcMaps.IsMapped(address), Is.False);
    }

    /// <summary>Random rows of a large table are read 1.6 times faster from huge pages, so they are asked for.</summary>
    [Test]
    public void LargeBuffersAskForHugePages()
    {
        ProcMaps.SkipElsewhere();
        const string Switch = "/sys/kernel/mm/transparent_hugepage/enabled";
        if (!File.Exists(Switch))
            Assert.Ignore("skipped: this kernel has no transparent huge pages");

        using AlignedBuffer<byte> buffer = new(8 << 20);
        Assert.That((long)buffer.Pointer % (2 << 20), Is.Zero, "a huge page needs its own alignment");
        buffer.AsSpan().Fill(1);
        IReadOnlyList<string> details = ProcMaps.Details((nint)buffer.Pointer);
        string flags = details.Single(line => line.StartsWith("VmFlags:", StringComparison.Ordinal));
        TestContext.Out.WriteLine($"{details.Single(line => line.StartsWith("AnonHugePages:", StringComparison.Ordinal))}; {Switch}: {File.ReadAllText(Switch).Trim()}");
        Assert.That(flags.Split(' '), Does.Contain("hg"));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint Forget() => (nint)new AlignedBuffer<byte>(48 << 20).Pointer;

    private struct Three
    {
        public byte First;
        public byte Second;
        public byte Last;
    }
}
