using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Memory of one value in a plan: blocked feature maps, or rows in NCHW order.</summary>
internal sealed unsafe class PlanSlot
{
    private PlanSlot(bool isMaps, int images, int channels, int height, int width, long count)
    {
        IsMaps = isMaps;
        (Images, Channels, Height, Width, Count) = (images, channels, height, width, count);
    }

    /// <summary>Whether it holds blocked maps and not rows.</summary>
    public bool IsMaps { get; }

    public int Images { get; }

    public int Channels { get; }

    public int Height { get; }

    public int Width { get; }

    /// <summary>Elements of a value in rows.</summary>
    public long Count { get; }

    /// <summary>What those who read it need around the maps.</summary>
    public Margins Halo { get; private set; }

    /// <summary>Channels side by side.</summary>
    public int Lanes { get; set; } = BlockedImages.Block;

    /// <summary>The maps whose channels from <see cref="FirstChannel"/> on these are; null where they stand for themselves.</summary>
    public PlanSlot? Whole { get; private set; }

    public int FirstChannel { get; private set; }

    /// <summary>Whether maps may become channels of others: where a step writes them whole.</summary>
    public bool CanJoin { get; set; } = true;

    /// <summary>The steps that use it first and last.</summary>
    public (int First, int Last) Life { get; private set; } = (int.MaxValue, -1);

    /// <summary>Floats from the start of the plan's memory.</summary>
    public nint Offset { get; set; }

    /// <summary>Floats that it takes.</summary>
    public nint Floats => IsMaps ? BlockedImages.Length(Images, Channels, Height, Width, Halo, Lanes) : checked((nint)Count);

    public static PlanSlot OfMaps(int images, int channels, int height, int width) => new(true, images, channels, height, width, 0);

    public static PlanSlot OfRows(long count) => new(false, 0, 0, 0, 0, count);

    /// <summary>The slot that has memory of its own.</summary>
    public PlanSlot Root()
    {
        PlanSlot root = this;
        while (root.Whole is not null)
            root = root.Whole;
        return root;
    }

    public void Use(int step)
    {
        for (PlanSlot? slot = this; slot is not null; slot = slot.Whole)
            slot.Life = (Math.Min(slot.Life.First, step), Math.Max(slot.Life.Last, step));
    }

    /// <summary>Asks for zeros around the maps.</summary>
    public void Need(Margins halo)
    {
        for (PlanSlot? slot = this; slot is not null; slot = slot.Whole)
            slot.Halo = slot.Halo.Union(halo);
    }

    /// <summary>Makes these maps channels of others.</summary>
    public void Join(PlanSlot whole, int firstChannel)
    {
        Whole = whole;
        FirstChannel = firstChannel;
        whole.Need(Halo);
        if (Life.Last >= 0)
        {
            whole.Use(Life.First);
            whole.Use(Life.Last);
        }
    }

    public float* Rows(float* memory) => memory + Offset;

    public BlockedImages Maps(float* memory)
    {
        if (Whole is not null)
            return Whole.Maps(memory).SliceChannels(FirstChannel, Channels);
        return new BlockedImages(memory + Offset, Images, Channels, Height, Width, Halo, Lanes);
    }
}

/// <summary>Lays slots out so that those that live at one time do not overlap.</summary>
internal static class PlanLayout
{
    // A cache line.
    private const nint Alignment = 16;

    /// <summary>Sets the offsets; the floats that all take together. Largest first, each at the lowest place that is free while it lives.</summary>
    public static nint Place(IEnumerable<PlanSlot> slots)
    {
        List<PlanSlot> placed = [];
        nint total = 0;
        foreach (PlanSlot slot in slots.OrderByDescending(slot => slot.Floats).ThenBy(slot => slot.Life.First))
        {
            nint floats = Rounded(slot.Floats);
            nint offset = 0;
            foreach (PlanSlot other in placed.Where(other => other.Life.First <= slot.Life.Last && slot.Life.First <= other.Life.Last).OrderBy(other => other.Offset))
            {
                if (other.Offset - offset >= floats)
                    break;
                offset = Math.Max(offset, other.Offset + Rounded(other.Floats));
            }

            slot.Offset = offset;
            placed.Add(slot);
            total = Math.Max(total, offset + floats);
        }

        return total;
    }

    private static nint Rounded(nint floats) => (floats + Alignment - 1) / Alignment * Alignment;
}
