using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>A layer as a list of kernel calls on memory that was laid out before.</summary>
internal sealed unsafe class PlannedRun(int[] shape, IReadOnlyList<PlanStep> steps, PlanSlot last, nint floats, int objects, PlanMemory memory) : NetworkRun(shape)
{
    /// <summary>Floats of memory that a run takes besides the weights.</summary>
    public nint Floats => floats;

    public IReadOnlyList<PlanStep> Steps => steps;

    public override void Run(ReadOnlySpan<float> input, Span<float> output, WorkerPool pool)
    {
        AlignedBuffer<float> taken = memory.Rent(floats);
        try
        {
            fixed (float* from = input, to = output)
            {
                PlanData data = new(taken.Pointer, from, objects == 0 ? [] : new PlainTensor?[objects], pool);
                foreach (PlanStep step in steps)
                {
                    foreach (PlanSlot slot in step.ToClear)
                        slot.Maps(data.Memory).ClearHalo();
                    step.Run(data);
                }

                if (last.IsMaps)
                    ImageLayout.ToNchw(last.Maps(data.Memory), to, pool);
                else
                    Buffer.MemoryCopy(last.Rows(data.Memory), to, output.Length * (long)sizeof(float), last.Count * sizeof(float));
            }
        }
        finally
        {
            memory.Return(taken);
        }
    }
}
