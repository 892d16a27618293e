using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// One step of skip-gram with negative sampling on rows in place: the logits of all (context, output) pairs of a window as
/// a small matrix product held in registers, the sigmoids of all pairs at once, and both updates in one pass over the
/// dimension.
/// </summary>
/// <remarks>
/// Outputs come in blocks of <see cref="Outputs"/> rows (the target and five negatives fill one); logits and coefficients
/// lie block by block, context by context, six floats each. Rows are padded with zeros to whole vectors of the widest
/// level, and zeros stay zeros under the updates, so there are no tails.
/// <para>Costs for 2 contexts on 16 registers, per vector: 12 FMA and 8 loads for the logits; 24 FMA, 14 loads and 2 stores
/// for the updates. Both are bound by FMA throughput as long as the rows are in L1 or L2.</para>
/// </remarks>
internal static unsafe class SkipGramKernel
{
    /// <summary>Output rows per block. Two contexts x 6 outputs fill 12 of 16 registers, four x 6 fill 24 of 32.</summary>
    public const int Outputs = 6;

    /// <summary>
    /// logits[c * 6 + j] = contexts[c] . outputs[j] for all contexts and the six outputs of one block. Two floats behind the
    /// last result may be written.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Logits<TWide>(float** contexts, int count, float** outputs, nint columns, float* logits)
        where TWide : unmanaged, IWide<TWide>
    {
        float* w0 = outputs[0];
        float* w1 = outputs[1];
        float* w2 = outputs[2];
        float* w3 = outputs[3];
        float* w4 = outputs[4];
        float* w5 = outputs[5];
        int c = 0;
        if (TWide.Registers >= 32)
        {
            for (; c + 4 <= count; c += 4, logits += 4 * Outputs)
            {
                float* x = contexts[c];
                float* y = contexts[c + 1];
                float* z = contexts[c + 2];
                float* t = contexts[c + 3];
                TWide x0 = TWide.Zero, x1 = x0, x2 = x0, x3 = x0, x4 = x0, x5 = x0;
                TWide y0 = x0, y1 = x0, y2 = x0, y3 = x0, y4 = x0, y5 = x0;
                TWide z0 = x0, z1 = x0, z2 = x0, z3 = x0, z4 = x0, z5 = x0;
                TWide t0 = x0, t1 = x0, t2 = x0, t3 = x0, t4 = x0, t5 = x0;
                for (nint d = 0; d < columns; d += TWide.Lanes)
                {
                    TWide a = TWide.Load(x + d);
                    TWide b = TWide.Load(y + d);
                    TWide e = TWide.Load(z + d);
                    TWide f = TWide.Load(t + d);
                    TWide w = TWide.Load(w0 + d);
                    x0 = TWide.MultiplyAdd(a, w, x0);
                    y0 = TWide.MultiplyAdd(b, w, y0);
                    z0 = TWide.MultiplyAdd(e, w, z0);
                    t0 = TWide.MultiplyAdd(f, w, t0);
                    w = TWide.Load(w1 + d);
                    x1 = TWide.MultiplyAdd(a, w, x1);
                    y1 = TWide.MultiplyAdd(b, w, y1);
                    z1 = TWide.MultiplyAdd(e, w, z1);
                    t1 = TWide.MultiplyAdd(f, w, t1);
                    w = TWide.Load(w2 + d);
                    x2 = TWide.MultiplyAdd(a, w, x2);
                    y2 = TWide.MultiplyAdd(b, w, y2);
                    z2 = TWide.MultiplyAdd(e, w, z2);
                    t2 = TWide.MultiplyAdd(f, w, t2);
                    w = TWide.Load(w3 + d);
                    x3 = TWide.MultiplyAdd(a, w, x3);
                    y3 = TWide.MultiplyAdd(b, w, y3);
                    z3 = TWide.MultiplyAdd(e, w, z3);
                    t3 = TWide.MultiplyAdd(f, w, t3);
                    w = TWide.Load(w4 + d);
                    x4 = TWide.MultiplyAdd(a, w, x4);
                    y4 = TWide.MultiplyAdd(b, w, y4);
                    z4 = TWide.MultiplyAdd(e, w, z4);
                    t4 = TWide.MultiplyAdd(f, w, t4);
                    w = TWide.Load(w5 + d);
                    x5 = TWide.MultiplyAdd(a, w, x5);
                    y5 = TWide.MultiplyAdd(b, w, y5);
                    z5 = TWide.MultiplyAdd(e, w, z5);
                    t5 = TWide.MultiplyAdd(f, w, t5);
                }

                TWide.Sum4(x0, x1, x2, x3).Store(logits);
                TWide.Sum4(x4, x5, y0, y1).Store(logits + 4);
                TWide.Sum4(y2, y3, y4, y5).Store(logits + 8);
                TWide.Sum4(z0, z1, z2, z3).Store(logits + 12);
                TWide.Sum4(z4, z5, t0, t1).Store(logits + 16);
                TWide.Sum4(t2, t3, t4, t5).Store(logits + 20);
            }
        }

        for (; c + 2 <= count; c += 2, logits += 2 * Outputs)
        {
            float* x = contexts[c];
            float* y = contexts[c + 1];
            TWide x0 = TWide.Zero, x1 = x0, x2 = x0, x3 = x0, x4 = x0, x5 = x0;
            TWide y0 = x0, y1 = x0, y2 = x0, y3 = x0, y4 = x0, y5 = x0;
            for (nint d = 0; d < columns; d += TWide.Lanes)
            {
                TWide a = TWide.Load(x + d);
                TWide b = TWide.Load(y + d);
                TWide w = TWide.Load(w0 + d);
                x0 = TWide.MultiplyAdd(a, w, x0);
                y0 = TWide.MultiplyAdd(b, w, y0);
                w = TWide.Load(w1 + d);
                x1 = TWide.MultiplyAdd(a, w, x1);
                y1 = TWide.MultiplyAdd(b, w, y1);
                w = TWide.Load(w2 + d);
                x2 = TWide.MultiplyAdd(a, w, x2);
                y2 = TWide.MultiplyAdd(b, w, y2);
                w = TWide.Load(w3 + d);
                x3 = TWide.MultiplyAdd(a, w, x3);
                y3 = TWide.MultiplyAdd(b, w, y3);
                w = TWide.Load(w4 + d);
                x4 = TWide.MultiplyAdd(a, w, x4);
                y4 = TWide.MultiplyAdd(b, w, y4);
                w = TWide.Load(w5 + d);
                x5 = TWide.MultiplyAdd(a, w, x5);
                y5 = TWide.MultiplyAdd(b, w, y5);
            }

            TWide.Sum4(x0, x1, x2, x3).Store(logits);
            TWide.Sum4(x4, x5, y0, y1).Store(logits + 4);
            TWide.Sum4(y2, y3, y4, y5).Store(logits + 8);
        }

        if (c < count)
        {
            float* x = contexts[c];
            TWide x0 = TWide.Zero, x1 = x0, x2 = x0, x3 = x0, x4 = x0, x5 = x0;
            for (nint d = 0; d < columns; d += TWide.Lanes)
            {
                TWide a = TWide.Load(x + d);
                x0 = TWide.MultiplyAdd(a, TWide.Load(w0 + d), x0);
                x1 = TWide.MultiplyAdd(a, TWide.Load(w1 + d), x1);
                x2 = TWide.MultiplyAdd(a, TWide.Load(w2 + d), x2);
                x3 = TWide.MultiplyAdd(a, TWide.Load(w3 + d), x3);
                x4 = TWide.MultiplyAdd(a, TWide.Load(w4 + d), x4);
                x5 = TWide.MultiplyAdd(a, TWide.Load(w5 + d), x5);
            }

            TWide.Sum4(x0, x1, x2, x3).Store(logits);
            TWide.Sum4(x4, x5, TWide.Zero, TWide.Zero).Store(logits + 4);
        }
    }

    /// <summary>
    /// values[i] = -alpha * sigmoid(values[i]): the logits become the coefficients of noise words. Whole vectors are read and
    /// written past <paramref name="count"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void NoiseCoefficients<TWide>(float* values, int count, float alpha)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide rate = TWide.Broadcast(-alpha);
        for (nint i = 0; i < count; i += TWide.Lanes)
            TWide.Store(values + i, rate * WideMath.Sigmoid(TWide.Load(values + i)));
    }

    /// <summary>
    /// contexts[c] += sum over j of k[c, j] * outputs[j] and outputs[j] += sum over c of k[c, j] * contexts[c], both from
    /// the values before, for one block of six outputs.
    /// </summary>
    /// <param name="contexts">The rows to update.</param>
    /// <param name="before">
    /// The same rows before any block's update: <paramref name="contexts"/> itself for the first block, copies for further ones.
    /// </param>
    /// <param name="count">Number of contexts.</param>
    /// <param name="outputs">Six rows.</param>
    /// <param name="columns">Floats per row, whole vectors.</param>
    /// <param name="coefficients">k, six per context.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Update<TWide>(float** contexts, float** before, int count, float** outputs, nint columns, float* coefficients)
        where TWide : unmanaged, IWide<TWide>
    {
        for (nint d = 0; d < columns; d += TWide.Lanes)
        {
            TWide w0 = TWide.Load(outputs[0] + d);
            TWide w1 = TWide.Load(outputs[1] + d);
            TWide w2 = TWide.Load(outputs[2] + d);
            TWide w3 = TWide.Load(outputs[3] + d);
            TWide w4 = TWide.Load(outputs[4] + d);
            TWide w5 = TWide.Load(outputs[5] + d);
            TWide u0 = w0, u1 = w1, u2 = w2, u3 = w3, u4 = w4, u5 = w5;
            float* k = coefficients;
            for (int c = 0; c < count; c++, k += Outputs)
            {
                float* row = contexts[c] + d;
                TWide old = TWide.Load(before[c] + d);
                TWide sum = TWide.Load(row);
                TWide g = TWide.Broadcast(k[0]);
                sum = TWide.MultiplyAdd(g, w0, sum);
                u0 = TWide.MultiplyAdd(g, old, u0);
                g = TWide.Broadcast(k[1]);
                sum = TWide.MultiplyAdd(g, w1, sum);
                u1 = TWide.MultiplyAdd(g, old, u1);
                g = TWide.Broadcast(k[2]);
                sum = TWide.MultiplyAdd(g, w2, sum);
                u2 = TWide.MultiplyAdd(g, old, u2);
                g = TWide.Broadcast(k[3]);
                sum = TWide.MultiplyAdd(g, w3, sum);
                u3 = TWide.MultiplyAdd(g, old, u3);
                g = TWide.Broadcast(k[4]);
                sum = TWide.MultiplyAdd(g, w4, sum);
                u4 = TWide.MultiplyAdd(g, old, u4);
                g = TWide.Broadcast(k[5]);
                sum = TWide.MultiplyAdd(g, w5, sum);
                u5 = TWide.MultiplyAdd(g, old, u5);
                TWide.Store(row, sum);
            }

            TWide.Store(outputs[0] + d, u0);
            TWide.Store(outputs[1] + d, u1);
            TWide.Store(outputs[2] + d, u2);
            TWide.Store(outputs[3] + d, u3);
            TWide.Store(outputs[4] + d, u4);
            TWide.Store(outputs[5] + d, u5);
        }
    }
}
