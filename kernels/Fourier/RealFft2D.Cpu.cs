using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

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
    /// <summary>What the transforms of the way back leave undivided.</summary>
    private float Scale => 1f / ((spectrum.Rows - 1) * 2 * plan.Length);

    public void Invoke(int worker, nint start, nint end)
    {
        for (nint group = start; group < end; group++)
        {
            float* line = lines + (group * layout.Stride);
            int count = (int)Math.Min(TWide.Lanes, spectrum.Rows - (group * TWide.Lanes));
            float* rows = spectrum.Row(group * TWide.Lanes);
            if (forward)
            {
                LineFft<TWide>.Forward(plan, line);
                Copy(line, rows, count);
                continue;
            }

            Copy(line, rows, count);
            LineFft<TWide>.Backward(plan, line);
        }
    }

    /// <summary>Four lanes of two frequencies are four times two complex numbers of four rows: a transposition of 4 x 4.</summary>
    private void Copy(float* line, float* rows, int count)
    {
        int lane = 0;
        for (; TWide.Lanes >= 4 && lane <= count - 4; lane += 4)
            FourRows(line + lane, rows + (lane * spectrum.Stride));
        for (; lane < count; lane++)
            Row(line + lane, rows + (lane * spectrum.Stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourRows(float* line, float* rows)
    {
        nint lanes = TWide.Lanes, stride = spectrum.Stride;
        Vector128<float> scale = Vector128.Create(Scale);
        int columns = plan.Length;
        fixed (int* places = plan.Places)
        {
            int l = 0;
            for (; l <= columns - 2; l += 2)
            {
                float* first = line + (places[l] * 2 * lanes), second = line + (places[l + 1] * 2 * lanes), row = rows + (2 * l);
                if (forward)
                {
                    Vector128<float> a = Vector128.Load(first), b = Vector128.Load(first + lanes);
                    Vector128<float> c = Vector128.Load(second), d = Vector128.Load(second + lanes);
                    Transpose4.Rows(ref a, ref b, ref c, ref d);
                    a.Store(row);
                    b.Store(row + stride);
                    c.Store(row + (2 * stride));
                    d.Store(row + (3 * stride));
                }
                else
                {
                    Vector128<float> a = Vector128.Load(row) * scale, b = Vector128.Load(row + stride) * scale;
                    Vector128<float> c = Vector128.Load(row + (2 * stride)) * scale, d = Vector128.Load(row + (3 * stride)) * scale;
                    Transpose4.Rows(ref a, ref b, ref c, ref d);
                    a.Store(first);
                    b.Store(first + lanes);
                    c.Store(second);
                    d.Store(second + lanes);
                }
            }

            for (int lane = 0; l < columns && lane < 4; lane++)
                Element(line + (places[l] * 2 * lanes) + lane, rows + (lane * stride) + (2 * l));
        }
    }

    private void Row(float* line, float* row)
    {
        for (int l = 0; l < plan.Length; l++)
            Element(line + ((nint)plan.Places[l] * 2 * TWide.Lanes), row + (2 * l));
    }

    private void Element(float* element, float* number)
    {
        if (forward)
        {
            number[0] = element[0];
            number[1] = element[TWide.Lanes];
        }
        else
        {
            element[0] = number[0] * Scale;
            element[TWide.Lanes] = number[1] * Scale;
        }
    }
}
