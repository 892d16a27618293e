using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

internal unsafe struct StepAction(
    MatrixView<float> map,
    MatrixView<float> velocity,
    MatrixView<float> gains,
    MatrixView<float> attraction,
    MatrixView<float> repulsion,
    float attractionScale,
    float repulsionScale,
    TsneStep step,
    WorkerPool pool) : IMapAction
{
    // Points per partial sum: the grain fixes the order of additions, so it does not depend on the threads.
    private const int Grain = 2048;

    public double GradientNorm { get; private set; }

    public void Run<TWide, TMap>()
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
    {
        // For each block of points the sums of the coordinates and of the squared gradient.
        const int SumsPerBlock = MapDimensions.Most + 1;
        nint blocks = (map.Columns + Grain - 1) / Grain;
        using Scratch<double> partial = new(blocks * SumsPerBlock);
        StepBody<TWide, TMap> move = new(map, velocity, gains, attraction, repulsion, attractionScale, repulsionScale, step, partial.Pointer, Grain);
        pool.For(map.Columns, Grain, ref move);

        double* sums = stackalloc double[SumsPerBlock];
        new Span<double>(sums, SumsPerBlock).Clear();
        for (nint i = 0; i < blocks * SumsPerBlock; i++)
            sums[i % SumsPerBlock] += partial.Pointer[i];
        GradientNorm = Math.Sqrt(sums[MapDimensions.Most]);
        CenterBody<TWide, TMap> center = new(map, (float)(sums[0] / map.Columns), (float)(sums[1] / map.Columns), (float)(sums[2] / map.Columns));
        pool.For(map.Columns, Grain, ref center);
    }
}

internal readonly unsafe struct StepBody<TWide, TMap>(
    MatrixView<float> map,
    MatrixView<float> velocity,
    MatrixView<float> gains,
    MatrixView<float> attraction,
    MatrixView<float> repulsion,
    float attractionScale,
    float repulsionScale,
    TsneStep step,
    double* partial,
    int grain) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        double* sums = partial + (start / grain * (MapDimensions.Most + 1));
        TWide bound = TWide.Broadcast(step.MaxStepNorm), one = TWide.Broadcast(1f);
        double sumX = 0, sumY = 0, sumZ = 0, squares = 0;
        for (nint i = start; i < end; i += TWide.Lanes)
        {
            int count = (int)Math.Min(TWide.Lanes, end - i);
            TWide square = TWide.Zero;
            TWide vx = Velocity(0, i, count, ref square), vy = TWide.Zero, vz = TWide.Zero;
            TWide length = vx * vx;
            if (TMap.Count > 1)
            {
                vy = Velocity(1, i, count, ref square);
                length = TWide.MultiplyAdd(vy, vy, length);
            }

            if (TMap.Count > 2)
            {
                vz = Velocity(2, i, count, ref square);
                length = TWide.MultiplyAdd(vz, vz, length);
            }

            length = TWide.Sqrt(length);
            TWide shrink = TWide.SelectLess(bound, length, bound / length, one);
            sumX += Move(0, i, count, vx * shrink);
            if (TMap.Count > 1)
                sumY += Move(1, i, count, vy * shrink);
            if (TMap.Count > 2)
                sumZ += Move(2, i, count, vz * shrink);
            squares += TWide.Sum(square);
        }

        sums[0] = sumX;
        sums[1] = sumY;
        sums[2] = sumZ;
        sums[MapDimensions.Most] = squares;
    }

    /// <summary>Updates the gains of an axis and gives its new steps; adds its squared gradient.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TWide Velocity(int axis, nint i, int count, ref TWide square)
    {
        TWide gradient = TWide.MultiplyAdd(
            TWide.LoadFirst(attraction.Row(axis) + i, count),
            TWide.Broadcast(attractionScale),
            TWide.LoadFirst(repulsion.Row(axis) + i, count) * TWide.Broadcast(repulsionScale));
        square = TWide.MultiplyAdd(gradient, gradient, square);
        TWide last = TWide.LoadFirst(velocity.Row(axis) + i, count);
        TWide gain = TWide.LoadFirst(gains.Row(axis) + i, count);
        gain = TWide.SelectLess(last * gradient, TWide.Zero, gain + TWide.Broadcast(0.2f), gain * TWide.Broadcast(0.8f));
        gain = TWide.Max(gain, TWide.Broadcast(step.MinGain));
        TWide.StoreFirst(gains.Row(axis) + i, gain, count);
        return TWide.NegatedMultiplyAdd(gain * gradient, TWide.Broadcast(step.LearningRate), last * TWide.Broadcast(step.Momentum));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float Move(int axis, nint i, int count, TWide by)
    {
        TWide.StoreFirst(velocity.Row(axis) + i, by, count);
        TWide moved = TWide.LoadFirst(map.Row(axis) + i, count) + by;
        TWide.StoreFirst(map.Row(axis) + i, moved, count);
        return TWide.Sum(moved);
    }
}

internal readonly unsafe struct CenterBody<TWide, TMap>(MatrixView<float> map, float meanX, float meanY, float meanZ) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        for (int axis = 0; axis < TMap.Count; axis++)
        {
            TWide mean = TWide.Broadcast(axis == 0 ? meanX : axis == 1 ? meanY : meanZ);
            float* row = map.Row(axis);
            for (nint i = start; i < end; i += TWide.Lanes)
            {
                int count = (int)Math.Min(TWide.Lanes, end - i);
                TWide.StoreFirst(row + i, TWide.LoadFirst(row + i, count) - mean, count);
            }
        }
    }
}
