using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>A function of each element of a product, compiled into the epilogue that stores it.</summary>
internal interface IActivation
{
    /// <summary>Short enough for the registers of the tile (<see cref="ITileEpilogue"/>).</summary>
    static abstract bool IsShort { get; }

    static abstract TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide>;
}

/// <summary>x.</summary>
internal readonly struct IdentityActivation : IActivation
{
    public static bool IsShort => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => x;
}

/// <summary>max(x, 0); NaN stays.</summary>
internal readonly struct ReluActivation : IActivation
{
    public static bool IsShort => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => TWide.Max(TWide.Zero, x);
}

/// <summary>1 / (1 + e^-x).</summary>
internal readonly struct SigmoidActivation : IActivation
{
    public static bool IsShort => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => WideMath.Sigmoid(x);
}

/// <summary>e^x.</summary>
internal readonly struct ExpActivation : IActivation
{
    public static bool IsShort => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => WideMath.Exp(x);
}

/// <summary>The destination of a product: C = f(alpha * sums + beta * C + bias), for one block of depth.</summary>
/// <param name="alpha">Factor of the sums.</param>
/// <param name="beta">Factor of what stands in C, which is not read where it is 0.</param>
/// <param name="bias">A number for each column of C, or null; then beta is 0.</param>
/// <param name="last">No further block of depth follows: f is applied.</param>
/// <param name="c">C.</param>
internal readonly unsafe struct GemmTarget(float alpha, float beta, float* bias, bool last, MatrixView<float> c)
{
    public readonly float Alpha = alpha;
    public readonly float Beta = beta;
    public readonly float* Bias = bias;
    public readonly bool Last = last;
    public readonly MatrixView<float> C = c;

    /// <summary>The target of one block of depth: the first brings beta and bias, the later ones add to it.</summary>
    public GemmTarget ForBlock(bool first, bool last) => new(Alpha, first ? Beta : 1f, first ? Bias : null, last, C);

    /// <summary>Stores <paramref name="count"/> sums, which stand in memory, at element (row, column) of C and after it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<TWide, TActivation>(float* sums, nint row, nint column, int count)
        where TWide : unmanaged, IWide<TWide>
        where TActivation : struct, IActivation
    {
        float* c = C.Row(row) + column;
        for (int j = 0; j < count; j += TWide.Lanes)
        {
            int rest = Math.Min(count - j, TWide.Lanes);
            TWide value = TWide.Broadcast(Alpha) * TWide.Load(sums + j);
            if (Beta != 0)
                value = TWide.MultiplyAdd(TWide.Broadcast(Beta), TWide.LoadFirst(c + j, rest), value);
            if (Bias is not null)
                value += TWide.LoadFirst(Bias + column + j, rest);
            TWide.StoreFirst(c + j, Last ? TActivation.Apply(value) : value, rest);
        }
    }
}

/// <summary>An epilogue that stores a product, block of depth by block of depth.</summary>
internal interface IGemmStore<TSelf> : ITileEpilogue
    where TSelf : struct, IGemmStore<TSelf>
{
    /// <summary>The epilogue of one block of depth: the first overwrites (or scales) what stands, the last finishes it.</summary>
    TSelf ForBlock(bool first, bool last);
}

/// <summary>Stores tiles as they come: from registers unless factors other than 0 and 1 ask for more. For short functions.</summary>
internal unsafe struct GemmStore<TActivation> : IGemmStore<GemmStore<TActivation>>
    where TActivation : struct, IActivation
{
    private readonly GemmTarget _target;
    private float* _c;
    private float* _addend; // what is added to a row of the tile: C itself, the bias, or nothing
    private readonly nint _addendStride;
    private readonly nint _beyondLine; // a row of the tile that is not aligned ends in a line more

    public GemmStore(in GemmTarget target)
    {
        _target = target;
        FromRegisters = target.Alpha == 1f && target.Beta is 0f or 1f;
        _addendStride = target.Bias is null ? target.C.Stride : 0;
        bool aligned = (nuint)target.C.Data % Prefetch.LineBytes == 0 && target.C.Stride % (Prefetch.LineBytes / sizeof(float)) == 0;
        _beyondLine = aligned ? 0 : (Prefetch.LineBytes / sizeof(float)) - 1;
    }

    public bool FromRegisters { get; }

    public readonly GemmStore<TActivation> ForBlock(bool first, bool last) => new(_target.ForBlock(first, last));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        _c = _target.C.Row(row) + column;
        _addend = _target.Bias is not null ? _target.Bias + column : _target.Beta != 0 ? _c : null;
        for (float* line = _c; line < _c + TShape.Columns<TWide>() + _beyondLine; line += Prefetch.LineBytes / sizeof(float))
            PrefetchRows<TShape, TWide>(line);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void PrefetchRows<TShape, TWide>(float* line)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        nint stride = _target.C.Stride;
        float* line3 = line + (3 * stride);
        Prefetch.ToL1(line);
        Prefetch.ToL1(line + stride);
        Prefetch.ToL1(line + (2 * stride));
        Prefetch.ToL1(line3);
        Prefetch.ToL1(line3 + stride);
        Prefetch.ToL1(line3 + (2 * stride));
        if (TShape.Rows<TWide>() == 12)
        {
            float* line6 = line3 + (3 * stride);
            float* line9 = line6 + (3 * stride);
            Prefetch.ToL1(line6);
            Prefetch.ToL1(line6 + stride);
            Prefetch.ToL1(line6 + (2 * stride));
            Prefetch.ToL1(line9);
            Prefetch.ToL1(line9 + stride);
            Prefetch.ToL1(line9 + (2 * stride));
        }
    }

    public readonly byte* Fetch(nint depth, out nint step)
    {
        step = 0;
        return null;
    }

    public readonly TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> => TWide.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide>
    {
        if (_addend is not null)
            sums += TWide.Load(_addend + (i * _addendStride) + (v * TWide.Lanes));
        if (_target.Last)
            sums = TActivation.Apply(sums);
        TWide.Store(_c + (i * _target.C.Stride) + (v * TWide.Lanes), sums);
        return picked;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        for (int i = 0; i < rows; i++)
            _target.Store<TWide, TActivation>(tile + (i * TShape.Columns<TWide>()), row + i, column, columns);
    }
}

/// <summary>
/// Stores tiles by memory: for functions too long for the registers of the tile, and for products that were computed
/// transposed, whose tiles are turned on the way.
/// </summary>
/// <typeparam name="TActivation">The function.</typeparam>
/// <typeparam name="TTurned">Whether the product's rows are C's columns.</typeparam>
internal readonly unsafe struct GemmStoreByMemory<TActivation, TTurned>(GemmTarget target) : IGemmStore<GemmStoreByMemory<TActivation, TTurned>>
    where TActivation : struct, IActivation
    where TTurned : struct, IFlag
{
    private readonly GemmTarget _target = target;

    public bool FromRegisters => false;

    public GemmStoreByMemory<TActivation, TTurned> ForBlock(bool first, bool last) => new(_target.ForBlock(first, last));

    public void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
    }

    public byte* Fetch(nint depth, out nint step)
    {
        step = 0;
        return null;
    }

    public TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> => TWide.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide> => picked;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        int width = TShape.Columns<TWide>();
        for (int i = 0; !TTurned.Value && i < rows; i++)
            _target.Store<TWide, TActivation>(tile + (i * width), row + i, column, columns);
        float* turned = stackalloc float[12 + TWide.Lanes];
        for (int j = 0; TTurned.Value && j < columns; j++)
        {
            for (int i = 0; i < rows; i++)
                turned[i] = tile[(i * width) + j];
            _target.Store<TWide, TActivation>(turned, column + j, row, rows);
        }
    }
}
