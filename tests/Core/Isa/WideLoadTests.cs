using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Loads that turn stored numbers into floats, for every number there is, from memory that ends at an unreadable page.</summary>
public sealed unsafe class WideLoadTests(IsaLevel level) : IsaFixture(level)
{
    private const int Patterns = 1 << 16;

    [Test]
    public void EveryHalfIsExact()
    {
        float[] result = Run<HalfLoad, ushort>(Patterns, i => (ushort)i);
        for (int i = 0; i < Patterns; i++)
            AssertSame(result[i], (float)BitConverter.UInt16BitsToHalf((ushort)i), i);
    }

    [Test]
    public void EveryBFloat16IsExact()
    {
        float[] result = Run<BFloat16Load, ushort>(Patterns, i => (ushort)i);
        for (int i = 0; i < Patterns; i++)
            AssertSame(result[i], BitConverter.Int32BitsToSingle(i << 16), i);
    }

    [Test]
    public void EverySignedByteIsExact() =>
        Assert.That(Run<Int8Load, sbyte>(256, i => (sbyte)(i - 128)), Is.EqualTo(Enumerable.Range(-128, 256).Select(i => (float)i)));

    [Test]
    public void EveryUnsignedByteIsExact() =>
        Assert.That(Run<UInt8Load, byte>(256, i => (byte)i), Is.EqualTo(Enumerable.Range(0, 256).Select(i => (float)i)));

    [Test]
    public void LoadsTakeNoMoreBytesThanTheyHaveLanes()
    {
        for (int count = 16; count < 48; count += 16)
        {
            Assert.That(Run<HalfLoad, ushort>(count, _ => 0x3C00), Is.All.EqualTo(1f));
            Assert.That(Run<BFloat16Load, ushort>(count, _ => 0x3F80), Is.All.EqualTo(1f));
            Assert.That(Run<Int8Load, sbyte>(count, _ => -1), Is.All.EqualTo(-1f));
            Assert.That(Run<UInt8Load, byte>(count, _ => 255), Is.All.EqualTo(255f));
        }
    }

    [Test]
    public void BroadcastFromTakesOneFloatToAllLanes()
    {
        using GuardedBuffer<float> source = new(1);
        foreach (float value in TestFloats.Special)
        {
            source.Span[0] = value;
            BroadcastAction action = new(source.Pointer);
            Isa.Dispatch(ref action);
            foreach (float lane in action.Result)
                AssertSame(lane, value, 0);
        }
    }

    private static void AssertSame(float got, float expected, int i)
    {
        if (!TestFloats.Same(got, expected))
            Assert.Fail($"number {i} gives {got:R}, expected {expected:R}");
    }

    private static float[] Run<TLoad, T>(int count, Func<int, T> value)
        where TLoad : struct, ILoad<T>
        where T : unmanaged
    {
        using GuardedBuffer<T> source = new(count);
        for (int i = 0; i < count; i++)
            source.Span[i] = value(i);
        float[] result = new float[count];
        fixed (float* target = result)
        {
            LoadAction<TLoad, T> action = new(source.Pointer, target, count);
            Isa.Dispatch(ref action);
        }

        return result;
    }

    private interface ILoad<T>
        where T : unmanaged
    {
        static abstract TWide Load<TWide>(T* source)
            where TWide : unmanaged, IWide<TWide>;
    }

    private readonly struct HalfLoad : ILoad<ushort>
    {
        public static TWide Load<TWide>(ushort* source)
            where TWide : unmanaged, IWide<TWide> => TWide.LoadHalf(source);
    }

    private readonly struct BFloat16Load : ILoad<ushort>
    {
        public static TWide Load<TWide>(ushort* source)
            where TWide : unmanaged, IWide<TWide> => TWide.LoadBFloat16(source);
    }

    private readonly struct Int8Load : ILoad<sbyte>
    {
        public static TWide Load<TWide>(sbyte* source)
            where TWide : unmanaged, IWide<TWide> => TWide.LoadInt8(source);
    }

    private readonly struct UInt8Load : ILoad<byte>
    {
        public static TWide Load<TWide>(byte* source)
            where TWide : unmanaged, IWide<TWide> => TWide.LoadUInt8(source);
    }

    private readonly struct LoadAction<TLoad, T>(T* source, float* result, int count) : IWideAction
        where TLoad : struct, ILoad<T>
        where T : unmanaged
    {
        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            for (int i = 0; i < count; i += TWide.Lanes)
                TWide.Store(result + i, TLoad.Load<TWide>(source + i));
        }
    }

    private struct BroadcastAction(float* source) : IWideAction
    {
        public float[] Result = [];

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Result = new float[TWide.Lanes];
            fixed (float* target = Result)
                TWide.Store(target, TWide.BroadcastFrom(source));
        }
    }
}
