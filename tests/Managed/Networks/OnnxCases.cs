using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>The ONNX project's own cases: a model, inputs and expected outputs in a folder each.</summary>
internal sealed class OnnxCase(string folder)
{
    public string Name { get; } = Path.GetFileName(folder);

    public string Model { get; } = Path.Combine(folder, "model.onnx");

    public IReadOnlyList<PlainTensor> Inputs { get; } = Tensors(folder, "input_");

    public IReadOnlyList<PlainTensor> Outputs { get; } = Tensors(folder, "output_");

    /// <summary>All cases of "node" or "pytorch"; skips the test where they are missing.</summary>
    public static IReadOnlyList<string> Folders(string kind)
    {
        string one = SharedData.Path(kind == "node" ? "onnx/node/test_add/model.onnx" : "onnx/pytorch/test_Conv2d/model.onnx");
        return [.. Directory.GetDirectories(Path.GetDirectoryName(Path.GetDirectoryName(one))!).Order(StringComparer.Ordinal)];
    }

    public static PlainTensor Tensor(string path)
    {
        using WeightFile file = new(path);
        return OnnxReader.ReadTensor(file).Load();
    }

    /// <summary>The suite's comparison: null where all elements are within rtol 1e-3 and atol 1e-7.</summary>
    public static string? Difference(PlainTensor expected, PlainTensor actual, double relative = 1e-3, double absolute = 1e-7)
    {
        if (!expected.Shape.AsSpan().SequenceEqual(actual.Shape))
            return $"shape {TensorShape.Text(actual.Shape)} instead of {TensorShape.Text(expected.Shape)}";
        if (expected.Element.IsFloating() != actual.Element.IsFloating())
            return $"{actual.Element} instead of {expected.Element}";
        for (int i = 0; i < expected.Count; i++)
        {
            (double wanted, double got) = (expected[i], actual[i]);
            bool same = wanted.Equals(got) || Math.Abs(wanted - got) <= absolute + (relative * Math.Abs(wanted));
            if (!same)
                return $"element {i} is {got:R} instead of {wanted:R}";
        }

        return null;
    }

    private static List<PlainTensor> Tensors(string folder, string prefix)
    {
        List<PlainTensor> tensors = [];
        while (File.Exists(Path.Combine(folder, "test_data_set_0", $"{prefix}{tensors.Count}.pb")))
            tensors.Add(Tensor(Path.Combine(folder, "test_data_set_0", $"{prefix}{tensors.Count}.pb")));
        return tensors;
    }
}
