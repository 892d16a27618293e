using System.Runtime.Intrinsics;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>What concerns a whole vector: sizes, loads and stores of parts, masks and sums.</summary>
public sealed unsafe class WideVectorTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void ConstantsFitTheLevel()
    {
        Shape shape = default;
        Isa.Dispatch(ref shape);
        Assert.Multiple(() =>
        {
            Assert.That(shape.Lanes, Is.EqualTo(Level switch { IsaLevel.Scalar => 1, IsaLevel.Portable => 4, IsaLevel.Avx2 => 8, _ => 16 }));
            Assert.That(shape.Size, Is.EqualTo(shape.Lanes * sizeof(float)));
            Assert.That(shape.Registers, Is.EqualTo(Level == IsaLevel.Avx512 ? 32 : 16));
            Assert.That(shape.Zero, Is.EqualTo(new float[shape.Lanes]));
            Assert.That(shape.Ramp, Is.EqualTo(Enumerable.Range(0, shape.Lanes).Select(i => (float)i)));
            Assert.That(shape.Broadcast, Is.EqualTo(Enumerable.Repeat(-2.5f, shape.Lanes)));
        });
    }

    /// <summary>Any length, with memory ending at an unreadable page: vectors, then the tail.</summary>
    [Test]
    public void CopiesOfEveryLengthTouchNothingBeyondTheEnd()
    {
        for (int length = 0; length <= 256; length++)
        {
            using GuardedBuffer<float> source = new(length);
            using GuardedBuffer<float> destination = new(length);
            for (int i = 0; i < length; i++)
                source.Span[i] = i + 1;
            Copy copy = new(source.Pointer, destination.Pointer, length);
            Isa.Dispatch(ref copy);
            Assert.That(destination.Span.SequenceEqual(source.Span), $"length {length}");
        }
    }

    /// <summary>Every number of lanes at the end of readable memory: zeros follow what was loaded.</summary>
    [Test]
    public void LoadFirstGivesZerosAfterTheCount()
    {
        for (int count = 0; count <= 16; count++)
        {
            using GuardedBuffer<float> source = new(count);
            source.Span.Fill(float.NaN);
            LoadPart load = new(source.Pointer, count);
            Isa.Dispatch(ref load);
            if (count <= load.Result.Length)
                Assert.That(load.Result, Is.EqualTo(Enumerable.Range(0, load.Result.Length).Select(i => i < count ? float.NaN : 0f)), $"count {count}");
        }
    }

    /// <summary>Every number of lanes inside writable memory: what follows keeps its value.</summary>
    [Test]
    public void StoreFirstLeavesTheRestAlone()
    {
        for (int count = 0; count <= 16; count++)
        {
            float[] memory = Enumerable.Repeat(7f, 32).ToArray();
            fixed (float* pointer = memory)
            {
                StorePart store = new(pointer, count);
                Isa.Dispatch(ref store);
                if (count <= store.Lanes)
                    Assert.That(memory, Is.EqualTo(Enumerable.Range(0, 32).Select(i => i < count ? -1f : 7f)), $"count {count}");
            }
        }
    }

    [Test]
    public void GreaterThanSetsTheLanesBitAndIsFalseAtNaN()
    {
        (float[] a, float[] b, _) = TestFloats.Triples(random: 2_000);
        fixed (float* x = a, y = b)
        {
            for (int i = 0; i + 16 <= a.Length; i += 16)
            {
                Compare compare = new(x + i, y + i);
                Isa.Dispatch(ref compare);
                uint expected = 0;
                for (int lane = 0; lane < compare.Lanes; lane++)
                    expected |= a[i + lane] > b[i + lane] ? 1u << lane : 0;
                Assert.That(compare.Mask, Is.EqualTo(expected), $"lanes from {i}");
            }
        }
    }

    [Test]
    public void SumsAreRoundedLikeAPairwiseSum()
    {
        Random random = new(4);
        float[] values = new float[64];
        fixed (float* x = values)
        {
            for (int trial = 0; trial < 2_000; trial++)
            {
                for (int i = 0; i < values.Length; i++)
                    values[i] = (random.NextSingle() - 0.5f) * MathF.ScaleB(1, random.Next(-20, 20));
                Sums sums = Run(x);
                for (int row = 0; row < 4; row++)
                {
                    ReadOnlySpan<float> part = values.AsSpan(row * sums.Lanes, sums.Lanes);
                    double exact = 0;
                    double size = 0;
                    foreach (float value in part)
                    {
                        exact += value;
                        size += Math.Abs(value);
                    }

                    // Four levels of additions for 16 lanes, each with a relative error of 2^-24.
                    double bound = 4.001 * Math.ScaleB(1, -24) * size;
                    Assert.That(sums.Single[row], Is.EqualTo(exact).Within(bound), "Sum");
                    Assert.That(sums.Four[row], Is.EqualTo(exact).Within(bound), "Sum4");
                }
            }
        }
    }

    /// <summary>One at a time each lane of each vector is counted, and in its own sum only.</summary>
    [Test]
    public void SumsCountEveryLaneOnce()
    {
        float[] values = new float[64];
        fixed (float* x = values)
        {
            int lanes = Run(x).Lanes;
            for (int i = 0; i < 4 * lanes; i++)
            {
                foreach (float value in new[] { 1f, float.NaN, float.PositiveInfinity })
                {
                    values[i] = value;
                    Sums sums = Run(x);
                    float[] expected = new float[4];
                    expected[i / lanes] = value;
                    Assert.That(sums.Single, Is.EqualTo(expected), $"Sum of lane {i}");
                    Assert.That(sums.Four, Is.EqualTo(expected), $"Sum4 of lane {i}");
                    values[i] = 0;
                }
            }
        }
    }

    private static Sums Run(float* x)
    {
        Sums sums = new(x);
        Isa.Dispatch(ref sums);
        return sums;
    }

    private static float[] ToArray<TWide>(TWide value)
        where TWide : unmanaged, IWide<TWide>
    {
        float[] result = new float[TWide.Lanes];
        fixed (float* pointer = result)
            TWide.Store(pointer, value);
        return result;
    }

    private struct Shape : IWideAction
    {
        public int Lanes;
        public int Size;
        public int Registers;
        public float[] Zero;
        public float[] Ramp;
        public float[] Broadcast;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Lanes = TWide.Lanes;
            Size = sizeof(TWide);
            Registers = TWide.Registers;
            Zero = ToArray(TWide.Zero);
            Ramp = ToArray(TWide.Ramp);
            Broadcast = ToArray(TWide.Broadcast(-2.5f));
        }
    }

    private readonly struct Copy(float* source, float* destination, int count) : IWideAction
    {
        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            int i = 0;
            for (; i <= count - TWide.Lanes; i += TWide.Lanes)
                TWide.Store(destination + i, TWide.Load(source + i));
            TWide.StoreFirst(destination + i, TWide.LoadFirst(source + i, count - i), count - i);
        }
    }

    private struct LoadPart(float* source, int count) : IWideAction
    {
        public float[] Result = [];

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            if (count <= TWide.Lanes)
                Result = ToArray(TWide.LoadFirst(source, count));
        }
    }

    private struct StorePart(float* destination, int count) : IWideAction
    {
        public int Lanes;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Lanes = TWide.Lanes;
            if (count <= Lanes)
                TWide.StoreFirst(destination, TWide.Broadcast(-1f), count);
        }
    }

    private struct Compare(float* a, float* b) : IWideAction
    {
        public int Lanes;
        public uint Mask;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Lanes = TWide.Lanes;
            Mask = TWide.GreaterThan(TWide.Load(a), TWide.Load(b));
        }
    }

    private struct Sums(float* x) : IWideAction
    {
        public int Lanes;
        public float[] Single = [];
        public float[] Four = new float[4];

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Lanes = TWide.Lanes;
            TWide a = TWide.Load(x);
            TWide b = TWide.Load(x + Lanes);
            TWide c = TWide.Load(x + (2 * Lanes));
            TWide d = TWide.Load(x + (3 * Lanes));
            Single = [TWide.Sum(a), TWide.Sum(b), TWide.Sum(c), TWide.Sum(d)];
            TWide.Sum4(a, b, c, d).CopyTo(Four);
        }
    }
}
