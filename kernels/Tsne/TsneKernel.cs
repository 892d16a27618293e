using System.Globalization;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// How two points of a map attract and repel each other: Student's t with nu degrees of freedom. With
/// t = 1 + |y_i - y_j|^2 / nu the weight of a pair is w = t^(-(nu+1)/2) and its push w / t. A type, so that the usual
/// nu = 1 (w = 1 / (1 + d^2)) compiles to one division and no power.
/// </summary>
internal interface ITsneKernel
{
    /// <summary>What the squared distance is added to: 1 where that makes t without another addition, else 0.</summary>
    static abstract TWide Start<TWide>()
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>The same from a 1 that the caller has in a register: a second one would take another.</summary>
    static abstract TWide StartFrom<TWide>(TWide one)
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>Whether w and the push of points 1e18 apart are nothing beside those of any points that maps may hold.</summary>
    static abstract bool VanishesFar { get; }

    /// <summary>w and the push w / t, from <see cref="Start"/> plus the squared distance; both times <paramref name="count"/>, which is 1 or 0.</summary>
    TWide Weight<TWide>(TWide count, TWide distance, out TWide push)
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>The gradient of a point's sum of weights is this times its force: -(nu + 1) / nu.</summary>
    float Slope { get; }

    /// <summary>
    /// w, and what the derivatives of the force g(d^2) d are made of: g = w / t, 2 g' and 4 g'', from <see cref="Start"/> plus
    /// the squared distance.
    /// </summary>
    TWide Derivatives<TWide>(TWide distance, out TWide push, out TWide first, out TWide second)
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>
    /// The mean w of points about a centre at D, to second order, from <see cref="Start"/> plus |D|^2; and their mean force,
    /// <paramref name="radial"/> D + <paramref name="along"/> M D. M are their variances and covariances,
    /// <paramref name="trace"/> its trace and <paramref name="square"/> is D M D.
    /// </summary>
    TWide SpreadWeight<TWide>(TWide distance, TWide trace, TWide square, out TWide radial, out TWide along)
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>ln t, from <see cref="Start"/> plus the squared distance.</summary>
    TWide LogBase<TWide>(TWide distance)
        where TWide : unmanaged, IWide<TWide>;
}

/// <summary>One degree of freedom: w = 1 / (1 + d^2), push w^2.</summary>
internal readonly struct CauchyKernel : ITsneKernel
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Start<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Broadcast(1f);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide StartFrom<TWide>(TWide one)
        where TWide : unmanaged, IWide<TWide> => one;

    public static bool VanishesFar => true; // 1e-36 and less than a float can hold

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Weight<TWide>(TWide count, TWide distance, out TWide push)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide q = count / distance;
        push = q * q;
        return q;
    }

    public float Slope => -2f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Derivatives<TWide>(TWide distance, out TWide push, out TWide first, out TWide second)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide q = TWide.Broadcast(1f) / distance;
        push = q * q;
        first = push * q * TWide.Broadcast(-4f);
        second = first * q * TWide.Broadcast(-6f);
        return q;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide SpreadWeight<TWide>(TWide distance, TWide trace, TWide square, out TWide radial, out TWide along)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide one = TWide.Broadcast(1f), q = one / distance, push = q * q;
        TWide change = TWide.NegatedMultiplyAdd(q * square, TWide.Broadcast(4f), trace);
        radial = push * TWide.MultiplyAdd(q, TWide.NegatedMultiplyAdd(change, TWide.Broadcast(3f), trace), one);
        along = push * q * TWide.Broadcast(-4f);
        return TWide.NegatedMultiplyAdd(push, change, q);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide LogBase<TWide>(TWide distance)
        where TWide : unmanaged, IWide<TWide> => WideMath.Log(distance);
}

/// <summary>
/// Any degrees of freedom, by a logarithm and an exponential. The relative error of w is below 4e-7 (1 + |ln w|); below
/// 1.2e-38 w stays there.
/// </summary>
internal readonly struct StudentKernel(double degreesOfFreedom) : ITsneKernel
{
    private readonly float _inverse = (float)(1 / degreesOfFreedom);
    private readonly float _exponent = (float)(-(degreesOfFreedom + 1) / 2);
    private readonly float _first = (float)(-(degreesOfFreedom + 3) / degreesOfFreedom);
    private readonly float _second = (float)(-(degreesOfFreedom + 5) / degreesOfFreedom);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Start<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide StartFrom<TWide>(TWide one)
        where TWide : unmanaged, IWide<TWide> => TWide.Zero;

    public static bool VanishesFar => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Weight<TWide>(TWide count, TWide distance, out TWide push)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide log = LogBase(distance, out TWide inverse);
        TWide w = count * WideMath.Exp(log * TWide.Broadcast(_exponent));
        push = w * inverse;
        return w;
    }

    public float Slope { get; } = (float)(-(degreesOfFreedom + 1) / degreesOfFreedom);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Derivatives<TWide>(TWide distance, out TWide push, out TWide first, out TWide second)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide w = WideMath.Exp(LogBase(distance, out TWide inverse) * TWide.Broadcast(_exponent));
        push = w * inverse;
        first = push * inverse * TWide.Broadcast(_first);
        second = first * inverse * TWide.Broadcast(_second);
        return w;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide SpreadWeight<TWide>(TWide distance, TWide trace, TWide square, out TWide radial, out TWide along)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide half = TWide.Broadcast(0.5f), w = Derivatives(distance, out TWide push, out along, out TWide second);
        radial = TWide.MultiplyAdd(half, TWide.MultiplyAdd(along, trace, second * square), push);
        return TWide.MultiplyAdd(TWide.Broadcast(0.5f * Slope), TWide.MultiplyAdd(push, trace, along * square), w);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide LogBase<TWide>(TWide distance)
        where TWide : unmanaged, IWide<TWide> => LogBase(distance, out _);

    /// <summary>ln(1 + x) with what rounding took from the sum added again, without which many degrees of freedom would lose all digits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TWide LogBase<TWide>(TWide distance, out TWide inverse)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide one = TWide.Broadcast(1f), x = distance * TWide.Broadcast(_inverse);
        TWide t = one + x;
        inverse = one / t;
        return TWide.MultiplyAdd(x - (t - one), inverse, WideMath.Log(t));
    }
}

/// <summary>Work that is compiled once for each vector width, number of axes and kind of kernel.</summary>
internal interface IKernelAction
{
    void Run<TWide, TMap, TKernel>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel;
}

/// <summary>Checks and dispatch by the degrees of freedom.</summary>
internal static class TsneKernel
{
    public const double LeastDegrees = 1e-6;
    public const double MostDegrees = 1e6;

    public static double CheckDegrees(double degreesOfFreedom, string name) =>
        degreesOfFreedom is >= LeastDegrees and <= MostDegrees
            ? degreesOfFreedom
            : throw new ArgumentOutOfRangeException(
                name, degreesOfFreedom, string.Create(CultureInfo.InvariantCulture, $"The degrees of freedom must lie in {LeastDegrees}..{MostDegrees}."));

    /// <summary>The gradient is this times (exaggeration * attraction - repulsion / Z).</summary>
    public static double GradientFactor(double degreesOfFreedom) => 2 * (degreesOfFreedom + 1) / degreesOfFreedom;

    /// <summary>Runs <paramref name="action"/> for the level in force, <paramref name="axes"/> axes and the kernel.</summary>
    public static void Dispatch<TAction>(int axes, double degreesOfFreedom, ref TAction action)
        where TAction : struct, IKernelAction
    {
        KernelDispatch<TAction> inner = new() { DegreesOfFreedom = degreesOfFreedom, Action = action };
        MapDimensions.Dispatch(axes, ref inner);
        action = inner.Action;
    }

    private struct KernelDispatch<TAction> : IMapAction
        where TAction : struct, IKernelAction
    {
        public double DegreesOfFreedom;
        public TAction Action;

        public void Run<TWide, TMap>()
            where TWide : unmanaged, IWide<TWide>
            where TMap : struct, IMapDimensions
        {
            if (DegreesOfFreedom == 1)
                Action.Run<TWide, TMap, CauchyKernel>(default);
            else
                Action.Run<TWide, TMap, StudentKernel>(new(DegreesOfFreedom));
        }
    }
}
