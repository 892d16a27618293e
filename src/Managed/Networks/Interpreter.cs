using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Runs graphs node by node on plain tensors: the reference that plans are tested against, what computes constants, and
/// the fallback for operators that have no kernel.
/// </summary>
internal static class Interpreter
{
    /// <summary>Computes one node.</summary>
    /// <param name="graph">Where it belongs.</param>
    /// <param name="node">The node.</param>
    /// <param name="inputs">Its inputs; null where one is left out.</param>
    /// <param name="maximumElements">No output may be larger.</param>
    /// <param name="batch">The batch that the file was written for, and the one that it runs on.</param>
    /// <param name="pool">Threads.</param>
    public static PlainTensor[] Evaluate(
        NetworkGraph graph, NetworkNode node, PlainTensor?[] inputs, long maximumElements, (int From, int To) batch, WorkerPool pool)
    {
        OperatorInput?[] known = Array.ConvertAll(inputs, input => input is null ? null : new OperatorInput(input.Element, input.Shape, () => input));
        OperatorCall call = new(node, graph.Opset, graph.Source, known, maximumElements) { Batch = batch, Pool = pool };
        OperatorRule rule = OperatorTable.Rule(node);
        rule.Infer(call);
        PlainTensor[] outputs = [.. call.Outputs.Select(output => new PlainTensor(output.Element, output.Shape))];
        rule.Evaluate(call, inputs, outputs);
        return outputs;
    }

    /// <summary>Computes values of a graph from its inputs.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="feeds">Its inputs by name.</param>
    /// <param name="wanted">Names of values.</param>
    /// <param name="maximumElements">No value may be larger.</param>
    /// <param name="batch">The batch that the file was written for, and the one that it runs on.</param>
    /// <param name="pool">Threads.</param>
    public static PlainTensor[] Run(
        NetworkGraph graph, IReadOnlyDictionary<string, PlainTensor> feeds, IReadOnlyList<string> wanted, long maximumElements, (int From, int To) batch, WorkerPool pool)
    {
        List<NetworkNode> nodes = Needed(graph, wanted);
        Dictionary<string, int> uses = new(StringComparer.Ordinal);
        foreach (string name in nodes.SelectMany(node => node.Inputs).Concat(wanted))
            uses[name] = uses.GetValueOrDefault(name) + 1;
        Dictionary<string, PlainTensor> values = new(feeds, StringComparer.Ordinal);
        foreach (NetworkNode node in nodes)
        {
            PlainTensor?[] inputs = [.. node.Inputs.Select(name => name.Length == 0 ? null : Value(name))];
            PlainTensor[] outputs = Evaluate(graph, node, inputs, maximumElements, batch, pool);
            for (int i = 0; i < node.Outputs.Length && i < outputs.Length; i++)
                values[node.Outputs[i]] = outputs[i];
            foreach (string name in node.Inputs)
            {
                if (--uses[name] == 0)
                    values.Remove(name);
            }
        }

        return [.. wanted.Select(Value)];

        PlainTensor Value(string name) =>
            values.TryGetValue(name, out PlainTensor? value) ? value
            : graph.Constants.TryGetValue(name, out GraphTensor? constant) ? constant.Load()
            : throw new DataFormatException($"{graph.Source}: '{name}' has no value.");
    }

    /// <summary>The nodes that some values depend on, in order.</summary>
    public static List<NetworkNode> Needed(NetworkGraph graph, IEnumerable<string> wanted)
    {
        HashSet<string> names = new(wanted, StringComparer.Ordinal);
        List<NetworkNode> nodes = [];
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            NetworkNode node = graph.Nodes[i];
            if (!Array.Exists(node.Outputs, names.Contains))
                continue;
            nodes.Add(node);
            names.UnionWith(node.Inputs);
        }

        nodes.Reverse();
        return nodes;
    }
}
