using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>The vector operations that came with the look-up.</summary>
public sealed class LookupVectorTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly float[] Values =
        [0f, -0f, 1f, -1f, float.Epsilon, float.MaxValue, float.MinValue, float.PositiveInfinity, float.NegativeInfinity, float.NaN, -float.NaN, 2.5f];

    [Test]
    public void MaximumKeepsNaNAndTheLaterZero()
    {
        foreach (float a in Values)
        {
            foreach (float b in Values)
            {
                Binary action = new(a, b);
                Isa.Dispatch(ref action);
                float expected = float.IsNaN(a) || float.IsNaN(b) ? float.NaN : a > b ? a : b;
                foreach (float actual in action.Result)
                {
                    bool same = float.IsNaN(expected)
                        ? float.IsNaN(actual)
                        : BitConverter.SingleToInt32Bits(actual) == BitConverter.SingleToInt32Bits(expected);
                    Assert.That(same, $"maximum of {a:R} and {b:R}: {actual:R} for {expected:R}");
                }
            }
        }
    }

    [Test]
    public void StreamingStoresWriteOneVector()
    {
        Stream action = default;
        Isa.Dispatch(ref action);
        Assert.That(action.Written, Is.EqualTo(Enumerable.Range(0, action.Lanes).Select(i => i + 1f)));
        Assert.That(action.After, Is.Zero);
    }

    private unsafe struct Binary(float a, float b) : IWideAction
    {
        public float[] Result = [];

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Result = new float[TWide.Lanes];
            fixed (float* r = Result)
                TWide.Store(r, TWide.MaxOrNaN(TWide.Broadcast(a), TWide.Broadcast(b)));
        }
    }

    private unsafe struct Stream : IWideAction
    {
        public int Lanes;
        public float[] Written;
        public float After;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            using AlignedBuffer<float> memory = new(3 * TWide.Lanes);
            TWide.StoreStreaming(memory.Pointer + TWide.Lanes, TWide.Ramp + TWide.Broadcast(1f));
            Interlocked.MemoryBarrier();
            Lanes = TWide.Lanes;
            Written = memory.AsSpan(TWide.Lanes, TWide.Lanes).ToArray();
            After = memory[2 * TWide.Lanes];
        }
    }
}

public sealed class PrefetchPlanTests
{
    [TestCase(4, 32)]
    [TestCase(256, 32)]
    [TestCase(512, 16)]
    [TestCase(1024, 8)]
    [TestCase(1 << 20, 8)]
    public void TablesBeyondL2AreReadAhead(int rowBytes, int distance)
    {
        Assert.That(PrefetchPlan.For(CacheSizes.L2 + 1, rowBytes), Is.EqualTo(new PrefetchPlan(PrefetchTarget.L2, distance)));
        Assert.That(PrefetchPlan.For(CacheSizes.L2, rowBytes), Is.EqualTo(PrefetchPlan.Off));
    }
}

public sealed class CacheSizesTests
{
    [TestCase("32K", 32 << 10)]
    [TestCase("1M", 1 << 20)]
    [TestCase("512", 512)]
    [TestCase("", 0)]
    [TestCase("K", 0)]
    [TestCase("-1K", 0)]
    [TestCase("many", 0)]
    public void SizesAsLinuxWritesThem(string text, int bytes) => Assert.That((long)CacheSizes.ParseSize(text), Is.EqualTo(bytes));

    [Test]
    public void TheSizesOfThisMachineAreInOrder()
    {
        Assert.That((long)CacheSizes.L1, Is.InRange(4 << 10, 1 << 20));
        Assert.That((long)CacheSizes.L2, Is.InRange((long)CacheSizes.L1, 256L << 20));
        Assert.That((long)CacheSizes.L3, Is.InRange((long)CacheSizes.L2, 64L << 30));
    }

    [Test]
    public void DescriptionsWholePartialAndMissing()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            Describe(folder, 0, "1", "Data", "48K");
            Describe(folder, 1, "1", "Instruction", "64K");
            Describe(folder, 2, "2", "Unified", "2048K");
            Assert.That(CacheSizes.Read(folder.FullName), Is.EqualTo(((nint)48 << 10, (nint)2 << 20, (nint)32 << 20)), "no third level");
            Describe(folder, 3, "3", "Unified", "1M");
            Assert.That(CacheSizes.Read(folder.FullName).L3, Is.EqualTo((nint)2 << 20), "never below the second level");
            File.Delete(Path.Combine(folder.FullName, "index0", "size"));
            Assert.That(CacheSizes.Read(folder.FullName).L1, Is.EqualTo((nint)32 << 10), "a size is missing");
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        Assert.That(CacheSizes.Read(folder.FullName), Is.EqualTo(((nint)32 << 10, (nint)1 << 20, (nint)32 << 20)), "no description");
    }

    private static void Describe(DirectoryInfo folder, int index, string level, string type, string size)
    {
        string path = folder.CreateSubdirectory($"index{index}").FullName;
        File.WriteAllText(Path.Combine(path, "level"), level + "\n");
        File.WriteAllText(Path.Combine(path, "type"), type + "\n");
        File.WriteAllText(Path.Combine(path, "size"), size + "\n");
    }
}
