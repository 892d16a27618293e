using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

internal readonly unsafe struct RealFft2DAction(
    RealFftPlan columnPlan, FftPlan rowPlan, MatrixView<float> grid, MatrixView<float> spectrum, bool forward, WorkerPool pool) : IWideAction
{
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        GridLines layout = new(TWide.Lanes, columnPlan.Half.Length + 1, rowPlan.Length);
        using Scratch<float> lines = new(layout.Length);
        using Scratch<float> scratch = new(pool.Threads * GridForwardColumns<TWide>.ScratchLength(columnPlan));
        SpectrumLines<TWide> alongRows = new(rowPlan, layout, lines.Pointer, spectrum, forward);
        if (forward)
        {
            GridForwardColumns<TWide> columns = new(columnPlan, grid, layout, lines.Pointer, scratch.Pointer);
            pool.For(layout.ColumnBlocks, GridLines.BlockGrain, ref columns);
            pool.For(layout.Groups, 1, ref alongRows);
        }
        else
        {
            GridBackwardColumns<TWide> columns = new(columnPlan, layout, lines.Pointer, grid, scratch.Pointer);
            pool.For(layout.Groups, 1, ref alongRows);
            pool.For(layout.ColumnBlocks, GridLines.BlockGrain, ref columns);
        }
    }
}

/// <summary>The transforms along rows, and the copy between their order and that of the spectrum.</summary>
internal readonly unsafe struct SpectrumLines<TWide>(FftPlan plan, GridLines layout, float* lines, MatrixView<float> spectrum, bool forward) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        // What the column transforms of the way back leave undivided, those here divide.
        float scale = 1f / ((spectrum.Rows - 1) * 2 * plan.Length);
        int[] places = plan.Places;
        for (nint group = start; group < end; group++)
        {
            float* line = lines + (group * layout.Stride);
            int count = (int)Math.Min(TWide.Lanes, spectrum.Rows - (group * TWide.Lanes));
            if (forward)
                LineFft<TWide>.Forward(plan, line);
            for (int lane = 0; lane < count; lane++)
            {
                float* row = spectrum.Row((group * TWide.Lanes) + lane);
                for (int l = 0; l < plan.Length; l++)
                {
                    float* element = line + (places[l] * 2 * TWide.Lanes) + lane;
                    if (forward)
                    {
                        row[2 * l] = element[0];
                        row[(2 * l) + 1] = element[TWide.Lanes];
                    }
                    else
                    {
                        element[0] = row[2 * l] * scale;
                        element[TWide.Lanes] = row[(2 * l) + 1] * scale;
                    }
                }
            }

            if (!forward)
                LineFft<TWide>.Backward(plan, line);
        }
    }
}
