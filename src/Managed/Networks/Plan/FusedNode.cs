using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>A node with the nodes after it that are computed with it: y = activation(scale (node(x)) + shift + residual).</summary>
internal sealed class FusedNode(OperatorCall call)
{
    /// <summary>The first node.</summary>
    public OperatorCall Call { get; } = call;

    /// <summary>The first node and those that were fused, in order.</summary>
    public List<OperatorCall> Members { get; } = [call];

    /// <summary>The value that it gives with all that is fused.</summary>
    public string Output { get; set; } = call.Node.Outputs[0];

    /// <summary>The factor of each output channel; null for 1.</summary>
    public double[]? Scale { get; private set; }

    /// <summary>What is added to each output channel; null for 0.</summary>
    public double[]? Shift { get; private set; }

    /// <summary>A value of the same shape that is added; null for none.</summary>
    public string? Residual { get; set; }

    public Activation Activation { get; set; }

    /// <summary>Whether what is fused depends on the shape that the network is fed, so that it belongs to one plan.</summary>
    public bool OfShape { get; set; }

    /// <summary>Tells its packed weights from those of another, once they were asked for.</summary>
    public string? Key { get; set; }

    /// <summary>y to scale y + shift.</summary>
    public void Then(int channels, Func<int, double> scale, Func<int, double> shift)
    {
        double[] oldScale = Scale ?? Same(channels, 1);
        double[] oldShift = Shift ?? Same(channels, 0);
        Scale = new double[channels];
        Shift = new double[channels];
        for (int i = 0; i < channels; i++)
        {
            Scale[i] = oldScale[i] * scale(i);
            Shift[i] = (oldShift[i] * scale(i)) + shift(i);
        }
    }

    private static double[] Same(int count, double value)
    {
        double[] values = new double[count];
        Array.Fill(values, value);
        return values;
    }
}
