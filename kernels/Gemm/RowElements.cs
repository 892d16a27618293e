using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>How an element of a stored row becomes a float: a struct type parameter of the loops over rows.</summary>
internal unsafe interface IRowElement
{
    static abstract int Bytes { get; }

    /// <summary>Elements <paramref name="i"/> to i + Lanes - 1.</summary>
    static abstract TWide Load<TWide>(byte* row, nint i)
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>One element.</summary>
    static abstract float At(byte* row, nint i);
}

internal readonly unsafe struct Float32Element : IRowElement
{
    public static int Bytes => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Load<TWide>(byte* row, nint i)
        where TWide : unmanaged, IWide<TWide> => TWide.Load((float*)row + i);

    public static float At(byte* row, nint i) => ((float*)row)[i];
}

internal readonly unsafe struct Float16Element : IRowElement
{
    public static int Bytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Load<TWide>(byte* row, nint i)
        where TWide : unmanaged, IWide<TWide> => TWide.LoadHalf((ushort*)row + i);

    public static float At(byte* row, nint i) => (float)BitConverter.UInt16BitsToHalf(((ushort*)row)[i]);
}

internal readonly unsafe struct BFloat16Element : IRowElement
{
    public static int Bytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Load<TWide>(byte* row, nint i)
        where TWide : unmanaged, IWide<TWide> => TWide.LoadBFloat16((ushort*)row + i);

    public static float At(byte* row, nint i) => BitConverter.Int32BitsToSingle(((ushort*)row)[i] << 16);
}

internal readonly unsafe struct Int8Element : IRowElement
{
    public static int Bytes => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Load<TWide>(byte* row, nint i)
        where TWide : unmanaged, IWide<TWide> => TWide.LoadInt8((sbyte*)row + i);

    public static float At(byte* row, nint i) => ((sbyte*)row)[i];
}

internal readonly unsafe struct UInt8Element : IRowElement
{
    public static int Bytes => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Load<TWide>(byte* row, nint i)
        where TWide : unmanaged, IWide<TWide> => TWide.LoadUInt8(row + i);

    public static float At(byte* row, nint i) => row[i];
}

/// <summary>Work that is compiled for the way in which rows are stored.</summary>
internal interface IRowElementAction
{
    void Run<TElement>()
        where TElement : struct, IRowElement;
}

/// <summary>The switch over element types, and rows as floats.</summary>
internal static unsafe class RowElements
{
    public static void Dispatch<TAction>(ElementType type, ref TAction action)
        where TAction : struct, IRowElementAction
    {
        switch (type)
        {
            case ElementType.Float32:
                action.Run<Float32Element>();
                break;
            case ElementType.Float16:
                action.Run<Float16Element>();
                break;
            case ElementType.BFloat16:
                action.Run<BFloat16Element>();
                break;
            case ElementType.Int8:
                action.Run<Int8Element>();
                break;
            default:
                action.Run<UInt8Element>();
                break;
        }
    }

    /// <summary>
    /// Rows as floats without gaps: the stored elements times the row's scale (if <paramref name="scaled"/>; one rounding),
    /// less <paramref name="centre"/> if it is not null (another).
    /// </summary>
    public static void ToFloats<TWide>(in RowsView rows, nint first, nint count, float* centre, bool scaled, float* target)
        where TWide : unmanaged, IWide<TWide>
    {
        ToFloatsAction<TWide> action = new(rows, first, count, centre, scaled, target);
        Dispatch(rows.Type, ref action);
    }

    private readonly struct ToFloatsAction<TWide>(RowsView rows, nint first, nint count, float* centre, bool scaled, float* target) : IRowElementAction
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly RowsView _rows = rows;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run<TElement>()
            where TElement : struct, IRowElement
        {
            nint columns = _rows.Columns;
            float* to = target;
            for (nint row = first; row < first + count; row++, to += columns)
            {
                byte* from = _rows.Row(row);
                float scale = scaled && _rows.Scales is not null ? _rows.Scales[row] : 1f;
                TWide wide = TWide.Broadcast(scale);
                nint i = 0;
                if (centre is null)
                {
                    for (; i <= columns - TWide.Lanes; i += TWide.Lanes)
                        TWide.Store(to + i, TElement.Load<TWide>(from, i) * wide);
                }
                else
                {
                    for (; i <= columns - TWide.Lanes; i += TWide.Lanes)
                        TWide.Store(to + i, (TElement.Load<TWide>(from, i) * wide) - TWide.Load(centre + i));
                }

                for (; i < columns; i++)
                    to[i] = (TElement.At(from, i) * scale) - (centre is null ? 0f : centre[i]);
            }
        }
    }
}
