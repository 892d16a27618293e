namespace EmbeddingKernels.Tests;

public sealed class OnnxConformanceTests
{
    // Operators that are not part of the library's list, and a reason for each.
    private static readonly Dictionary<string, string> Unsupported = new()
    {
        ["test_melweightmatrix"] = "MelWeightMatrix",
        ["test_stft"] = "STFT",
        ["test_stft_with_window"] = "STFT",
    };

    [TestCase("node")]
    [TestCase("pytorch")]
    public void TheInterpreterGivesTheExpectedOutputs(string kind) => Check(kind, RunInterpreter);

    [TestCase("node")]
    [TestCase("pytorch")]
    public void PlansGiveTheExpectedOutputs(string kind) => Check(kind, RunPlan);

    private static void Check(string kind, Func<OnnxCase, string?> run)
    {
        List<string> failures = [];
        List<string> skipped = [];
        IReadOnlyList<string> folders = OnnxCase.Folders(kind);
        foreach (string folder in folders)
        {
            OnnxCase test = new(folder);
            Assert.That(test.Outputs, Is.Not.Empty, test.Name);
            try
            {
                if (run(test) is { } difference)
                    failures.Add($"{test.Name}: {difference}");
            }
            catch (NotSupportedException exception) when (Unsupported.TryGetValue(test.Name, out string? reason) && exception.Message.Contains($"'{reason}'", StringComparison.Ordinal))
            {
                skipped.Add(test.Name);
            }
            catch (Exception exception) when (exception is not SuccessException)
            {
                failures.Add($"{test.Name}: {exception.GetType().Name}: {exception.Message}");
            }
        }

        Assert.That(failures, Is.Empty, string.Join('\n', failures));
        Assert.That(skipped, Is.EquivalentTo(folders.Select(Path.GetFileName).Where(name => Unsupported.ContainsKey(name!))));
        TestContext.Out.WriteLine($"{folders.Count - skipped.Count} of {folders.Count} cases agree; not supported: {string.Join(", ", skipped)}");
    }

    private static string? RunInterpreter(OnnxCase test)
    {
        using Network network = Network.LoadOnnx(test.Model);
        Dictionary<string, PlainTensor> feeds = [];
        foreach ((NetworkTensorInfo input, PlainTensor tensor) in network.Inputs.Zip(test.Inputs))
            feeds.Add(input.Name, tensor);
        PlainTensor[] results = network.Interpret(feeds, [.. network.Outputs.Select(output => output.Name)]);
        return test.Outputs.Zip(results, (expected, actual) => OnnxCase.Difference(expected, actual)).FirstOrDefault(difference => difference is not null);
    }

    /// <summary>The first input is fed, the others are constants as in trained networks; where that cannot be planned, the interpreter has tested it.</summary>
    private static string? RunPlan(OnnxCase test)
    {
        IReadOnlyList<NetworkTensorInfo> inputs;
        IReadOnlyList<string> outputs;
        using (Network probe = Network.LoadOnnx(test.Model))
            (inputs, outputs) = (probe.Inputs, [.. probe.Outputs.Select(output => output.Name)]);
        Dictionary<string, GraphTensor> constants = [];
        foreach ((NetworkTensorInfo input, PlainTensor tensor) in inputs.Zip(test.Inputs).Skip(1))
            constants.Add(input.Name, new GraphTensor(tensor));
        using Network network = Network.LoadOnnx(test.Model, null, constants);
        PlainTensor fed = test.Inputs[0];
        if (fed.Element != TensorElement.Float || fed.Shape.Length == 0)
            return null;
        for (int i = 0; i < outputs.Count; i++)
        {
            if (test.Outputs[i].Element != TensorElement.Float)
                continue;
            float[] result = new float[test.Outputs[i].Count];
            network.Run(fed.Floats, fed.Shape, outputs[i], result);
            if (OnnxCase.Difference(test.Outputs[i], PlainTensor.Of(test.Outputs[i].Shape, result)) is { } difference)
                return difference;
        }

        return null;
    }
}
