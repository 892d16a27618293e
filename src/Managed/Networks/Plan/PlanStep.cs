using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Where a run's data is.</summary>
internal readonly unsafe struct PlanData(float* memory, float* input, PlainTensor?[] objects, WorkerPool pool)
{
    /// <summary>The plan's memory.</summary>
    public readonly float* Memory = memory;

    /// <summary>What the network is fed.</summary>
    public readonly float* Input = input;

    /// <summary>Values that are no floats.</summary>
    public readonly PlainTensor?[] Objects = objects;

    public readonly WorkerPool Pool = pool;
}

/// <summary>One call of a kernel, with all that it needs known.</summary>
internal abstract class PlanStep
{
    /// <summary>What it is called in listings.</summary>
    public required string Name { get; init; }

    /// <summary>What it reads and writes; the last is what it writes.</summary>
    public required PlanSlot[] Slots { get; init; }

    /// <summary>A slot that the step reads and may write its result to.</summary>
    public PlanSlot? Reusable { get; set; }

    /// <summary>Maps whose halos must be zero from this step on.</summary>
    public List<PlanSlot> ToClear { get; } = [];

    public abstract void Run(in PlanData data);
}

/// <summary>A step that is a delegate.</summary>
internal delegate void PlanAction(in PlanData data);

/// <summary>A step whose kernel call is given.</summary>
internal sealed class KernelStep(PlanAction run) : PlanStep
{
    public override void Run(in PlanData data) => run(data);
}

/// <summary>Maps side by side in the channels of others; what could be written there at once is not copied.</summary>
internal sealed unsafe class JoinStep : PlanStep
{
    public override void Run(in PlanData data)
    {
        PlanSlot whole = Slots[^1];
        int channel = 0;
        foreach (PlanSlot part in Slots.AsSpan(0, Slots.Length - 1))
        {
            if (part.Whole != whole || part.FirstChannel != channel)
                ImageLayout.Copy(part.Maps(data.Memory), whole.Maps(data.Memory), channel, data.Pool);
            channel += part.Channels;
        }
    }

    /// <summary>Makes producers write into the whole where its blocks allow that.</summary>
    public void Join()
    {
        PlanSlot whole = Slots[^1];
        int channel = 0;
        foreach (PlanSlot part in Slots.AsSpan(0, Slots.Length - 1))
        {
            if (channel % BlockedImages.Block == 0 && part.Whole is null && part.CanJoin && part.Lanes == BlockedImages.Block && part.Root() != whole.Root())
                part.Join(whole, channel);
            channel += part.Channels;
        }
    }
}

/// <summary>An operator that no kernel computes: the interpreter's loops.</summary>
internal sealed unsafe class PlainStep : PlanStep
{
    public required GraphShapes Shapes { get; init; }

    public required OperatorCall Call { get; init; }

    /// <summary>Each input: a slot of rows, an object, or a constant.</summary>
    public required PlainPlace[] Inputs { get; init; }

    /// <summary>Each output that is used: a slot of rows, or an object.</summary>
    public required PlainPlace[] Outputs { get; init; }

    public required long MaximumElements { get; init; }

    public override void Run(in PlanData data)
    {
        PlainTensor?[] inputs = new PlainTensor?[Inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            PlainPlace place = Inputs[i];
            inputs[i] = place.Constant is not null ? place.Constant : place.Object >= 0 ? data.Objects[place.Object] : null;
            if (place.Slot is null)
                continue;
            PlainTensor tensor = new(TensorElement.Float, place.Shape);
            new ReadOnlySpan<float>(place.Slot.Rows(data.Memory), tensor.Count).CopyTo(tensor.Floats);
            inputs[i] = tensor;
        }

        PlainTensor[] outputs = Interpreter.Evaluate(Shapes.Graph, Call.Node, inputs, MaximumElements, Shapes.Batch, data.Pool);
        for (int i = 0; i < Outputs.Length; i++)
        {
            if (Outputs[i].Object >= 0)
                data.Objects[Outputs[i].Object] = outputs[i];
            else if (Outputs[i].Slot is { } slot)
                outputs[i].Floats.CopyTo(new Span<float>(slot.Rows(data.Memory), outputs[i].Count));
        }
    }
}

/// <summary>Where an input or output of the interpreter is; nowhere, if it is not used.</summary>
/// <param name="Shape">Its extents.</param>
/// <param name="Slot">Rows in the plan's memory.</param>
/// <param name="Object">An index of a value that holds no floats; -1 for none.</param>
/// <param name="Constant">A constant.</param>
internal sealed record PlainPlace(int[] Shape, PlanSlot? Slot = null, int Object = -1, PlainTensor? Constant = null);
