using System.Globalization;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

#pragma warning disable RS0030 // This is the one place that asks what the processor has.

namespace EmbeddingKernels.Core;

/// <summary>Instruction-set levels, lowest first. Every kernel exists once and is compiled for each of them.</summary>
public enum IsaLevel
{
    /// <summary>One float at a time; no vector instruction. The plainest code that the same source gives.</summary>
    Scalar = 0,

    /// <summary>128-bit vectors of whatever kind the processor has (SSE, NEON, WebAssembly).</summary>
    Portable = 1,

    /// <summary>256-bit vectors with AVX2 and FMA.</summary>
    Avx2 = 2,

    /// <summary>512-bit vectors with AVX-512 F, BW, CD, DQ and VL.</summary>
    Avx512 = 3,
}

/// <summary>
/// The instruction-set level that kernels run at: the highest one that the processor and runtime offer, unless
/// the environment variable <c>EMBEDDING_KERNELS_ISA</c> (<c>scalar</c>, <c>portable</c>, <c>avx2</c>, <c>avx512</c>) or
/// <see cref="Use"/> says a lower one. Kernels ask once, in their outermost call.
/// </summary>
public static class Isa
{
    /// <summary>The environment variable that forces a level for the whole process.</summary>
    public const string EnvironmentVariable = "EMBEDDING_KERNELS_ISA";

    [ThreadStatic]
    private static IsaLevel? _override;

    /// <summary>The highest level that this processor and runtime offer.</summary>
    public static IsaLevel Detected { get; } = Detect();

    private static readonly (IsaLevel Level, string Reason) Default =
        FromEnvironment(Environment.GetEnvironmentVariable(EnvironmentVariable));

    /// <summary>The level in force on this thread.</summary>
    public static IsaLevel Level => _override ?? Default.Level;

    /// <summary>Why <see cref="Level"/> is what it is, in one line for people.</summary>
    public static string Reason => _override is null ? Default.Reason : "forced in code by Isa.Use";

    /// <summary>All levels that this processor can run, lowest first.</summary>
    public static IReadOnlyList<IsaLevel> Available { get; } =
        Enum.GetValues<IsaLevel>().Where(level => level <= Detected).ToArray();

    /// <summary>The vector extensions that were found, for people.</summary>
    public static string Features => string.Join(' ', FeatureFlags().Where(f => f.Present).Select(f => f.Name));

    /// <summary>
    /// Forces <paramref name="level"/> for kernel calls made by this thread until the result is disposed. Worker threads
    /// that such a call starts follow it. Scopes nest.
    /// </summary>
    /// <exception cref="PlatformNotSupportedException">The processor lacks <paramref name="level"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="level"/> is no defined level.</exception>
    public static IsaScope Use(IsaLevel level)
    {
        if (!Enum.IsDefined(level))
            throw new ArgumentOutOfRangeException(nameof(level), level, "Not an instruction-set level.");
        if (level > Detected)
            throw new PlatformNotSupportedException($"Level {level} was asked for, but this processor and runtime offer {Detected} at most.");
        return new IsaScope(level);
    }

    /// <summary>Runs <paramref name="action"/> compiled for the level in force.</summary>
    internal static void Dispatch<TAction>(ref TAction action)
        where TAction : struct, IWideAction
    {
        switch (Level)
        {
            case IsaLevel.Avx512:
                action.Run<Wide512>();
                break;
            case IsaLevel.Avx2:
                action.Run<Wide256>();
                break;
            case IsaLevel.Portable:
                action.Run<Wide128>();
                break;
            default:
                action.Run<WideScalar>();
                break;
        }
    }

    /// <summary><see cref="Dispatch"/> for work on bytes and bits.</summary>
    internal static void DispatchBytes<TAction>(ref TAction action)
        where TAction : struct, IWideBytesAction
    {
        switch (Level)
        {
            case IsaLevel.Avx512:
                action.Run<WideBytes512>();
                break;
            case IsaLevel.Avx2:
                action.Run<WideBytes256>();
                break;
            case IsaLevel.Portable:
                action.Run<WideBytes128>();
                break;
            default:
                action.RunScalar();
                break;
        }
    }

    /// <summary>Reads a forced level; an unknown or unavailable one is ignored and said in the reason.</summary>
    internal static (IsaLevel Level, string Reason) FromEnvironment(string? value)
    {
        string offer = $"highest level that the processor offers ({Features})";
        if (string.IsNullOrWhiteSpace(value))
            return (Detected, offer);
        if (!TryParse(value.Trim(), out IsaLevel level))
            return (Detected, $"{offer}; {EnvironmentVariable}={value} is not one of scalar, portable, avx2, avx512 and was ignored");
        return level > Detected
            ? (Detected, $"{offer}; {EnvironmentVariable}={value} was ignored because the processor lacks it")
            : (level, string.Create(CultureInfo.InvariantCulture, $"forced by {EnvironmentVariable}={value}"));
    }

    // By name only: Enum.TryParse takes numbers and lists as well.
    private static bool TryParse(string name, out IsaLevel level)
    {
        foreach (IsaLevel candidate in Enum.GetValues<IsaLevel>())
        {
            if (name.Equals(candidate.ToString(), StringComparison.OrdinalIgnoreCase))
            {
                level = candidate;
                return true;
            }
        }

        level = default;
        return false;
    }

    /// <summary>
    /// This thread's forced level, if any. Unlike <see cref="Use"/> it takes a level that the processor lacks: 512-bit
    /// operations then run as pairs of 256-bit ones, which is how tests cover that width on a machine with AVX2.
    /// </summary>
    internal static IsaLevel? Override
    {
        get => _override;
        set => _override = value;
    }

    private static IsaLevel Detect()
    {
        // Vector256 and fused multiply-add without the hardware for them are slower than scalar code: all or nothing.
        if (Avx512F.IsSupported && Avx512F.VL.IsSupported && Avx512BW.IsSupported && Avx512CD.IsSupported && Avx512DQ.IsSupported
            && Vector512.IsHardwareAccelerated && Fma.IsSupported)
            return IsaLevel.Avx512;
        if (Avx2.IsSupported && Fma.IsSupported)
            return IsaLevel.Avx2;
        return Vector128.IsHardwareAccelerated ? IsaLevel.Portable : IsaLevel.Scalar;
    }

    private static IEnumerable<(string Name, bool Present)> FeatureFlags() =>
    [
        ("SSE4.2", Sse42.IsSupported),
        ("AVX", Avx.IsSupported),
        ("AVX2", Avx2.IsSupported),
        ("FMA", Fma.IsSupported),
        ("AVX-VNNI", AvxVnni.IsSupported),
        ("AVX-512F", Avx512F.IsSupported),
        ("AVX-512BW", Avx512BW.IsSupported),
        ("AVX-512DQ", Avx512DQ.IsSupported),
        ("AVX-512VL", Avx512F.VL.IsSupported),
        ("AVX-512VBMI", Avx512Vbmi.IsSupported),
        ("AdvSimd", System.Runtime.Intrinsics.Arm.AdvSimd.IsSupported),
    ];
}

/// <summary>Undoes <see cref="Isa.Use"/> when disposed. Dispose it on the thread that made it.</summary>
public readonly ref struct IsaScope
{
    private readonly IsaLevel? _previous;

    internal IsaScope(IsaLevel level)
    {
        _previous = Isa.Override;
        Isa.Override = level;
    }

    /// <summary>Brings back the level that was in force before.</summary>
    public void Dispose() => Isa.Override = _previous;
}

/// <summary>Work that is compiled once for each vector width; see <see cref="Isa.Dispatch"/>.</summary>
internal interface IWideAction
{
    void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>;
}
