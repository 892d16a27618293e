using System.Runtime.Intrinsics;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Each operation of <see cref="IWideBytes{TSelf}"/> against the same on single bytes, words and numbers.</summary>
public sealed unsafe class WideBytesTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void OperationsAreThoseOfTheirLanes()
    {
        for (int seed = 0; seed < 50; seed++)
        {
            Operations action = new(seed);
            Isa.DispatchBytes(ref action);
            Assert.That(action.Bytes, Is.EqualTo(Level switch
            {
                IsaLevel.Scalar => 8,
                IsaLevel.Portable => 16,
                IsaLevel.Avx2 => 32,
                _ => 64,
            }));
        }
    }

    private struct Operations(int seed) : IWideBytesAction
    {
        public int Bytes { get; private set; }

        public void RunScalar() => Bytes = 8;

        public void Run<TBytes>()
            where TBytes : unmanaged, IWideBytes<TBytes>
        {
            Bytes = TBytes.Count;
            Random random = new(seed);
            byte[] a = new byte[64], b = new byte[64];
            random.NextBytes(a);
            random.NextBytes(b);
            if (seed % 2 == 0)
            {
                // Equal words, and the extremes of signed ones.
                a.AsSpan(0, 4).CopyTo(b);
                (a[4], a[5], b[6], b[7]) = (0xFF, 0x7F, 0x00, 0x80);
            }

            fixed (byte* pa = a, pb = b)
            {
                TBytes x = TBytes.Load(pa), y = TBytes.Load(pb);
                Same(x & y, i => (byte)(a[i] & b[i]), "&");
                Same(x | y, i => (byte)(a[i] | b[i]), "|");
                Same(x ^ y, i => (byte)(a[i] ^ b[i]), "^");
                Same(TBytes.Zero, _ => 0, "Zero");
                Same(TBytes.Broadcast(a[9]), _ => a[9], "Broadcast");
                Same(TBytes.BroadcastWord((ushort)(a[0] | (a[1] << 8))), i => a[i % 2], "BroadcastWord");
                Same(TBytes.LoadTable(pa), i => a[i % 16], "LoadTable");
                Same(TBytes.LoadParts(pa, 3), i => a[(i / 16 * 3) + (i % 16)], "LoadParts");
                Same(TBytes.AddBytes(x, y), i => (byte)(a[i] + b[i]), "AddBytes");
                SameWords(TBytes.AddWords(x, y), i => (ushort)(Word(a, i) + Word(b, i)), "AddWords");
                SameWords(TBytes.MultiplyHigh(x, y), i => (ushort)((Word(a, i) * (uint)Word(b, i)) >> 16), "MultiplyHigh");
                SameWords(TBytes.GreaterThanWords(x, y), i => (short)Word(a, i) > (short)Word(b, i) ? ushort.MaxValue : (ushort)0, "GreaterThanWords");
                SameWords(TBytes.EvenBytes(x), i => a[2 * i], "EvenBytes");
                SameWords(TBytes.OddBytes(x), i => a[(2 * i) + 1], "OddBytes");
                Same(TBytes.HighNibbles(x), i => (byte)(a[i] >> 4), "HighNibbles");
                Same(TBytes.LookUp(TBytes.LoadTable(pb), TBytes.HighNibbles(x)), i => b[a[i] >> 4], "LookUp");
                Same(TBytes.InterleaveLow(x, y), i => (i % 2 == 0 ? a : b)[(i / 16 * 16) + (i % 16 / 2)], "InterleaveLow");
                Same(TBytes.InterleaveHigh(x, y), i => (i % 2 == 0 ? a : b)[(i / 16 * 16) + 8 + (i % 16 / 2)], "InterleaveHigh");
                TBytes sums = TBytes.SumBytes(x);
                Same(sums, i => (byte)(Sum(a, i / 8) >> (i % 8 * 8)), "SumBytes");
                Same(TBytes.AddLongs(sums, sums), i => (byte)((2 * Sum(a, i / 8)) >> (i % 8 * 8)), "AddLongs");
                Assert.That(TBytes.IsZero(TBytes.Zero), Is.True);
                Assert.That(TBytes.IsZero(x), Is.False);

                ulong top = 0;
                for (int i = 0; i < TBytes.Count; i++)
                    top |= (ulong)((i % 2 == 0 ? a : b)[(i / 2 * 2) + 1] >> 7) << i;
                Assert.That(TBytes.InterleavedTopBits(x, y), Is.EqualTo(top));

                TBytes others = TBytes.SumBytes(y);
                int total = a.Take(TBytes.Count).Sum(value => value), other = b.Take(TBytes.Count).Sum(value => value);
                Assert.That(
                    TBytes.Total4(sums, others, TBytes.Zero, TBytes.AddLongs(sums, others)), Is.EqualTo(Vector128.Create(total, other, 0, total + other)));
            }
        }

        private static ushort Word(byte[] bytes, int i) => BitConverter.ToUInt16(bytes, 2 * i);

        private static long Sum(byte[] bytes, int i) => bytes.AsSpan(8 * i, 8).ToArray().Sum(value => (long)value);

        private static void SameWords<TBytes>(TBytes actual, Func<int, ushort> wanted, string operation)
            where TBytes : unmanaged, IWideBytes<TBytes> => Same(actual, i => (byte)(wanted(i / 2) >> (i % 2 * 8)), operation);

        private static void Same<TBytes>(TBytes actual, Func<int, byte> wanted, string operation)
            where TBytes : unmanaged, IWideBytes<TBytes>
        {
            byte[] bytes = new byte[TBytes.Count];
            fixed (byte* p = bytes)
                TBytes.Store(p, actual);
            Assert.That(bytes, Is.EqualTo(Enumerable.Range(0, TBytes.Count).Select(wanted).ToArray()), operation);
        }
    }
}
