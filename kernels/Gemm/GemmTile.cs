using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The register tile: the one loop in which all matrix products are computed.
/// </summary>
/// <remarks>
/// Contract: <c>a</c> is a panel of TileRows values per k (rows of A side by side), <c>b</c> a panel of TileColumns values
/// per k, both padded with anything where the matrix ends. Writes all TileRows x TileColumns sums to <c>tile</c>, row by row
/// without gaps, or adds them to what stands there.
/// </remarks>
internal static unsafe class GemmTile
{
    /// <summary>tile (+)= sum over k &lt; depth of a[k] b[k]^T, in ascending k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Multiply<TWide>(nint depth, float* a, float* b, float* tile, bool add)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide c00 = TWide.Zero, c01 = TWide.Zero, c10 = TWide.Zero, c11 = TWide.Zero;
        TWide c20 = TWide.Zero, c21 = TWide.Zero, c30 = TWide.Zero, c31 = TWide.Zero;
        TWide c40 = TWide.Zero, c41 = TWide.Zero, c50 = TWide.Zero, c51 = TWide.Zero;
        TWide c60 = TWide.Zero, c61 = TWide.Zero, c70 = TWide.Zero, c71 = TWide.Zero;
        TWide c80 = TWide.Zero, c81 = TWide.Zero, c90 = TWide.Zero, c91 = TWide.Zero;
        TWide cA0 = TWide.Zero, cA1 = TWide.Zero, cB0 = TWide.Zero, cB1 = TWide.Zero;
        float* end = a + (depth * GemmBlocking.TileRows<TWide>());
        while (a < end)
        {
            TWide b0 = TWide.Load(b);
            TWide b1 = TWide.Load(b + TWide.Lanes);
            Row(a[0], b0, b1, ref c00, ref c01);
            Row(a[1], b0, b1, ref c10, ref c11);
            Row(a[2], b0, b1, ref c20, ref c21);
            Row(a[3], b0, b1, ref c30, ref c31);
            Row(a[4], b0, b1, ref c40, ref c41);
            Row(a[5], b0, b1, ref c50, ref c51);
            if (TWide.Registers >= 32)
            {
                Row(a[6], b0, b1, ref c60, ref c61);
                Row(a[7], b0, b1, ref c70, ref c71);
                Row(a[8], b0, b1, ref c80, ref c81);
                Row(a[9], b0, b1, ref c90, ref c91);
                Row(a[10], b0, b1, ref cA0, ref cA1);
                Row(a[11], b0, b1, ref cB0, ref cB1);
            }

            a += GemmBlocking.TileRows<TWide>();
            b += GemmBlocking.TileColumns<TWide>();
        }

        Write(tile, 0, c00, c01, add);
        Write(tile, 1, c10, c11, add);
        Write(tile, 2, c20, c21, add);
        Write(tile, 3, c30, c31, add);
        Write(tile, 4, c40, c41, add);
        Write(tile, 5, c50, c51, add);
        if (TWide.Registers >= 32)
        {
            Write(tile, 6, c60, c61, add);
            Write(tile, 7, c70, c71, add);
            Write(tile, 8, c80, c81, add);
            Write(tile, 9, c90, c91, add);
            Write(tile, 10, cA0, cA1, add);
            Write(tile, 11, cB0, cB1, add);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Row<TWide>(float a, TWide b0, TWide b1, ref TWide c0, ref TWide c1)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide wide = TWide.Broadcast(a);
        c0 = TWide.MultiplyAdd(wide, b0, c0);
        c1 = TWide.MultiplyAdd(wide, b1, c1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TWide>(float* tile, int row, TWide c0, TWide c1, bool add)
        where TWide : unmanaged, IWide<TWide>
    {
        float* target = tile + (row * GemmBlocking.TileColumns<TWide>());
        if (add)
        {
            c0 += TWide.Load(target);
            c1 += TWide.Load(target + TWide.Lanes);
        }

        TWide.Store(target, c0);
        TWide.Store(target + TWide.Lanes, c1);
    }
}
