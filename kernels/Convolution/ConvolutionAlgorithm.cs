namespace EmbeddingKernels.Core;

/// <summary>How a convolution is computed.</summary>
public enum ConvolutionAlgorithm
{
    /// <summary>The one that measurements found fastest for the shape, among those whose error is below 1e-5 of the output's rms.</summary>
    Auto = 0,

    /// <summary>Implicit matrix product: any shape.</summary>
    Direct = 1,

    /// <summary>Each channel by itself, for depthwise convolutions.</summary>
    Depthwise = 2,

    /// <summary>Winograd's F(2x2, 3x3): 2.25 times fewer products; error below 2e-6 of the output's rms (rms of errors 4e-7).</summary>
    Winograd2 = 3,

    /// <summary>Winograd's F(4x4, 3x3): 4 times fewer products; error below 1e-5 of the output's rms (rms of errors 1e-6).</summary>
    Winograd4 = 4,

    /// <summary>Winograd's F(6x6, 3x3): 5.06 times fewer products; error below 6e-5 of the output's rms (rms of errors 5e-6), so it is never chosen by itself.</summary>
    Winograd6 = 5,
}
