using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// What far clusters do to the points near a center c, as a polynomial of r = y - c: the force
/// F_a = A_a + B_ab r_b + C_abc r_b r_c / 2 and the sum of weights S + slope (A_a r_a + B_ab r_a r_b / 2 + C_abc r_a r_b r_c / 6).
/// The force is a gradient, so one set of coefficients serves both, and B and C are symmetric.
/// </summary>
internal static unsafe class LocalExpansion
{
    /// <summary>Floats of an expansion in three axes; fewer axes leave some at 0.</summary>
    public const int Length = 20;

    private const int S = 0;
    private const int X = 1;
    private const int Y = 2;
    private const int Z = 3;
    private const int Xx = 4;
    private const int Xy = 5;
    private const int Yy = 6;
    private const int Xz = 7;
    private const int Yz = 8;
    private const int Zz = 9;
    private const int Xxx = 10;
    private const int Xxy = 11;
    private const int Xyy = 12;
    private const int Yyy = 13;
    private const int Xxz = 14;
    private const int Xyz = 15;
    private const int Yyz = 16;
    private const int Xzz = 17;
    private const int Yzz = 18;
    private const int Zzz = 19;

    /// <summary>Adds clusters, a vector of them at a time; those behind <paramref name="count"/> up to a whole vector have mass 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add<TWide, TMap, TKernel>(TKernel kernel, float* expansion, float* clusters, nint stride, int count, float centerX, float centerY, float centerZ)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        TWide cx = TWide.Broadcast(centerX), cy = TWide.Broadcast(centerY), cz = TWide.Broadcast(centerZ);
        TWide s = TWide.Zero, fx = s, fy = s, fz = s, xx = s, xy = s, yy = s, xz = s, yz = s, zz = s;
        TWide xxx = s, xxy = s, xyy = s, yyy = s, xxz = s, xyz = s, yyz = s, xzz = s, yzz = s, zzz = s;
        for (nint j = 0; j < count; j += TWide.Lanes)
        {
            TWide mass = TWide.Load(clusters + j);
            TWide dx = cx - TWide.Load(clusters + stride + j), dy = dx, dz = dx;
            TWide distance = TWide.MultiplyAdd(dx, dx, TKernel.Start<TWide>());
            if (TMap.Count > 1)
            {
                dy = cy - TWide.Load(clusters + (2 * stride) + j);
                distance = TWide.MultiplyAdd(dy, dy, distance);
            }

            if (TMap.Count > 2)
            {
                dz = cz - TWide.Load(clusters + (3 * stride) + j);
                distance = TWide.MultiplyAdd(dz, dz, distance);
            }

            TWide w = kernel.Derivatives(distance, out TWide push, out TWide first, out TWide second);
            s = TWide.MultiplyAdd(w, mass, s);
            push *= mass;
            first *= mass;
            second *= mass;

            // The mean over the cluster's points instead of the value at its centre, in the leading terms: half their variances
            // and covariances M times the second derivatives.
            float* moments = clusters + ((1 + TMap.Count) * stride) + j;
            TWide xxMoment = TWide.Load(moments), trace = xxMoment, sx = xxMoment * dx, sy = sx, sz = sx, square = sx;
            if (TMap.Count > 1)
            {
                TWide xyMoment = TWide.Load(moments + stride), yyMoment = TWide.Load(moments + (2 * stride));
                trace += yyMoment;
                sx = TWide.MultiplyAdd(xyMoment, dy, sx);
                sy = TWide.MultiplyAdd(yyMoment, dy, xyMoment * dx);
            }

            if (TMap.Count > 2)
            {
                TWide xzMoment = TWide.Load(moments + (3 * stride)), yzMoment = TWide.Load(moments + (4 * stride)), zzMoment = TWide.Load(moments + (5 * stride));
                trace += zzMoment;
                sx = TWide.MultiplyAdd(xzMoment, dz, sx);
                sy = TWide.MultiplyAdd(yzMoment, dz, sy);
                sz = TWide.MultiplyAdd(zzMoment, dz, TWide.MultiplyAdd(yzMoment, dy, xzMoment * dx));
            }

            square = sx * dx;
            if (TMap.Count > 1)
                square = TWide.MultiplyAdd(sy, dy, square);
            if (TMap.Count > 2)
                square = TWide.MultiplyAdd(sz, dz, square);
            TWide half = TWide.Broadcast(0.5f);
            s = TWide.MultiplyAdd(TWide.Broadcast(0.5f * kernel.Slope), TWide.MultiplyAdd(push, trace, first * square), s);
            TWide pushed = TWide.MultiplyAdd(half, TWide.MultiplyAdd(first, trace, second * square), push);
            TWide twice = first + first, x1 = first * dx, x2 = TWide.MultiplyAdd(second * dx, dx, first);
            fx = TWide.MultiplyAdd(first, sx, TWide.MultiplyAdd(pushed, dx, fx));
            xx += TWide.MultiplyAdd(x1, dx, push);
            xxx = TWide.MultiplyAdd(x2 + twice, dx, xxx);
            if (TMap.Count > 1)
            {
                TWide y1 = first * dy, y2 = TWide.MultiplyAdd(second * dy, dy, first);
                fy = TWide.MultiplyAdd(first, sy, TWide.MultiplyAdd(pushed, dy, fy));
                xy = TWide.MultiplyAdd(x1, dy, xy);
                yy += TWide.MultiplyAdd(y1, dy, push);
                xxy = TWide.MultiplyAdd(x2, dy, xxy);
                xyy = TWide.MultiplyAdd(y2, dx, xyy);
                yyy = TWide.MultiplyAdd(y2 + twice, dy, yyy);
                if (TMap.Count > 2)
                {
                    TWide z2 = TWide.MultiplyAdd(second * dz, dz, first);
                    fz = TWide.MultiplyAdd(first, sz, TWide.MultiplyAdd(pushed, dz, fz));
                    xz = TWide.MultiplyAdd(x1, dz, xz);
                    yz = TWide.MultiplyAdd(y1, dz, yz);
                    zz += TWide.MultiplyAdd(first * dz, dz, push);
                    xxz = TWide.MultiplyAdd(x2, dz, xxz);
                    xyz = TWide.MultiplyAdd(second * dx * dy, dz, xyz);
                    yyz = TWide.MultiplyAdd(y2, dz, yyz);
                    xzz = TWide.MultiplyAdd(z2, dx, xzz);
                    yzz = TWide.MultiplyAdd(z2, dy, yzz);
                    zzz = TWide.MultiplyAdd(z2 + twice, dz, zzz);
                }
            }
        }

        AddSums(expansion + S, TWide.Sum4(s, fx, fy, fz));
        AddSums(expansion + Xx, TWide.Sum4(xx, xy, yy, xz));
        if (TMap.Count > 2)
        {
            AddSums(expansion + Yz, TWide.Sum4(yz, zz, xxx, xxy));
            AddSums(expansion + Xyy, TWide.Sum4(xyy, yyy, xxz, xyz));
            AddSums(expansion + Yyz, TWide.Sum4(yyz, xzz, yzz, zzz));
        }
        else
        {
            AddSums(expansion + Xxx, TWide.Sum4(xxx, xxy, xyy, yyy));
        }
    }

    /// <summary>The force and the sum of weights at <paramref name="rx"/>, <paramref name="ry"/>, <paramref name="rz"/> from the center.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide At<TWide, TMap>(float* expansion, float slope, TWide rx, TWide ry, TWide rz, out TWide fx, out TWide fy, out TWide fz)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
    {
        // B r and C r r / 2 of each axis.
        TWide half = TWide.Broadcast(0.5f), third = TWide.Broadcast(1f / 3f), s = TWide.BroadcastFrom(expansion + S);
        TWide bx = TWide.BroadcastFrom(expansion + Xx) * rx, qxx = TWide.BroadcastFrom(expansion + Xxx) * rx;
        TWide ax = TWide.BroadcastFrom(expansion + X), work;
        fy = fz = TWide.Zero;
        if (TMap.Count == 1)
        {
            TWide cx = half * qxx * rx;
            fx = ax + bx + cx;
            work = TWide.MultiplyAdd(third, cx, TWide.MultiplyAdd(half, bx, ax)) * rx;
            return TWide.MultiplyAdd(TWide.Broadcast(slope), work, s);
        }

        TWide bxy = TWide.BroadcastFrom(expansion + Xy), by = TWide.MultiplyAdd(TWide.BroadcastFrom(expansion + Yy), ry, bxy * rx);
        TWide xxy = TWide.BroadcastFrom(expansion + Xxy), xyy = TWide.BroadcastFrom(expansion + Xyy);
        bx = TWide.MultiplyAdd(bxy, ry, bx);
        qxx = TWide.MultiplyAdd(xxy, ry, qxx);
        TWide qxy = TWide.MultiplyAdd(xyy, ry, xxy * rx), qyy = TWide.MultiplyAdd(TWide.BroadcastFrom(expansion + Yyy), ry, xyy * rx);
        TWide ay = TWide.BroadcastFrom(expansion + Y);
        if (TMap.Count == 2)
        {
            TWide cx = half * TWide.MultiplyAdd(qxy, ry, qxx * rx), cy = half * TWide.MultiplyAdd(qyy, ry, qxy * rx);
            fx = ax + bx + cx;
            fy = ay + by + cy;
            work = TWide.MultiplyAdd(third, cx, TWide.MultiplyAdd(half, bx, ax)) * rx;
            work = TWide.MultiplyAdd(TWide.MultiplyAdd(third, cy, TWide.MultiplyAdd(half, by, ay)), ry, work);
            return TWide.MultiplyAdd(TWide.Broadcast(slope), work, s);
        }

        TWide bxz = TWide.BroadcastFrom(expansion + Xz), byz = TWide.BroadcastFrom(expansion + Yz);
        TWide bz = TWide.MultiplyAdd(TWide.BroadcastFrom(expansion + Zz), rz, TWide.MultiplyAdd(byz, ry, bxz * rx));
        bx = TWide.MultiplyAdd(bxz, rz, bx);
        by = TWide.MultiplyAdd(byz, rz, by);
        TWide xxz = TWide.BroadcastFrom(expansion + Xxz), xyz = TWide.BroadcastFrom(expansion + Xyz), yyz = TWide.BroadcastFrom(expansion + Yyz);
        TWide xzz = TWide.BroadcastFrom(expansion + Xzz), yzz = TWide.BroadcastFrom(expansion + Yzz);
        qxx = TWide.MultiplyAdd(xxz, rz, qxx);
        qxy = TWide.MultiplyAdd(xyz, rz, qxy);
        qyy = TWide.MultiplyAdd(yyz, rz, qyy);
        TWide qxz = TWide.MultiplyAdd(xzz, rz, TWide.MultiplyAdd(xyz, ry, xxz * rx));
        TWide qyz = TWide.MultiplyAdd(yzz, rz, TWide.MultiplyAdd(yyz, ry, xyz * rx));
        TWide qzz = TWide.MultiplyAdd(TWide.BroadcastFrom(expansion + Zzz), rz, TWide.MultiplyAdd(yzz, ry, xzz * rx));
        TWide dx = half * TWide.MultiplyAdd(qxz, rz, TWide.MultiplyAdd(qxy, ry, qxx * rx));
        TWide dy = half * TWide.MultiplyAdd(qyz, rz, TWide.MultiplyAdd(qyy, ry, qxy * rx));
        TWide dz = half * TWide.MultiplyAdd(qzz, rz, TWide.MultiplyAdd(qyz, ry, qxz * rx));
        TWide az = TWide.BroadcastFrom(expansion + Z);
        fx = ax + bx + dx;
        fy = ay + by + dy;
        fz = az + bz + dz;
        work = TWide.MultiplyAdd(third, dx, TWide.MultiplyAdd(half, bx, ax)) * rx;
        work = TWide.MultiplyAdd(TWide.MultiplyAdd(third, dy, TWide.MultiplyAdd(half, by, ay)), ry, work);
        work = TWide.MultiplyAdd(TWide.MultiplyAdd(third, dz, TWide.MultiplyAdd(half, bz, az)), rz, work);
        return TWide.MultiplyAdd(TWide.Broadcast(slope), work, s);
    }

    /// <summary>The same polynomial about a center that lies <paramref name="rx"/>, <paramref name="ry"/>, <paramref name="rz"/> from that of <paramref name="from"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Shift<TMap>(float* from, float* to, float slope, float rx, float ry, float rz)
        where TMap : struct, IMapDimensions
    {
        WideScalar s = At<WideScalar, TMap>(
            from, slope, WideScalar.Broadcast(rx), WideScalar.Broadcast(ry), WideScalar.Broadcast(rz), out WideScalar fx, out WideScalar fy, out WideScalar fz);
        WideScalar.Store(to + S, s);
        WideScalar.Store(to + X, fx);
        WideScalar.Store(to + Y, fy);
        WideScalar.Store(to + Z, fz);
        ry = TMap.Count > 1 ? ry : 0;
        rz = TMap.Count > 2 ? rz : 0;
        to[Xx] = from[Xx] + (from[Xxx] * rx) + (from[Xxy] * ry) + (from[Xxz] * rz);
        to[Xy] = from[Xy] + (from[Xxy] * rx) + (from[Xyy] * ry) + (from[Xyz] * rz);
        to[Yy] = from[Yy] + (from[Xyy] * rx) + (from[Yyy] * ry) + (from[Yyz] * rz);
        if (TMap.Count > 2)
        {
            to[Xz] = from[Xz] + (from[Xxz] * rx) + (from[Xyz] * ry) + (from[Xzz] * rz);
            to[Yz] = from[Yz] + (from[Xyz] * rx) + (from[Yyz] * ry) + (from[Yzz] * rz);
            to[Zz] = from[Zz] + (from[Xzz] * rx) + (from[Yzz] * ry) + (from[Zzz] * rz);
        }

        new ReadOnlySpan<float>(from + Xxx, Length - Xxx).CopyTo(new Span<float>(to + Xxx, Length - Xxx));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSums(float* to, Vector128<float> sums) => (Vector128.Load(to) + sums).Store(to);
}
