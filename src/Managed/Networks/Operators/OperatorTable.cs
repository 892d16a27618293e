using System.Collections.Frozen;

namespace EmbeddingKernels;

/// <summary>All operators that networks may use.</summary>
internal static class OperatorTable
{
    /// <summary>As many inputs or outputs as there are.</summary>
    public const int Any = int.MaxValue;

    private static readonly FrozenDictionary<string, OperatorRule> Rules =
        ElementOperators.Rules
            .Concat(ShapeOperators.Rules)
            .Concat(DataOperators.Rules)
            .Concat(WindowOperators.Rules)
            .Concat(NormOperators.Rules)
            .Concat(MatrixOperators.Rules)
            .Concat(ResizeOperator.Rules)
            .ToFrozenDictionary(rule => rule.Name);

    /// <summary>Names of all operators, sorted.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Rules.Keys.Order(StringComparer.Ordinal)];

    public static OperatorRule Rule(NetworkNode node) => Rules[node.Operator];

    /// <summary>Throws where a node's operator, or an attribute of it, is unknown, or where it has too few or too many inputs.</summary>
    public static void Check(NetworkNode node, int opset, string source)
    {
        if (node.Domain.Length > 0 || !Rules.TryGetValue(node.Operator, out OperatorRule? rule))
        {
            string domain = node.Domain.Length > 0 ? node.Domain : "ai.onnx";
            throw new NotSupportedException($"{source}: {node.Label}: operator '{node.Operator}' of domain '{domain}' (operator set {opset}) is not supported.");
        }

        foreach (string attribute in node.Attributes.Keys)
        {
            if (!rule.Attributes.Contains(attribute))
                throw new NotSupportedException($"{source}: {node.Label}: attribute '{attribute}' of operator '{node.Operator}' (operator set {opset}) is not supported.");
        }

        int given = node.Inputs.Length;
        while (given > 0 && node.Inputs[given - 1].Length == 0)
            given--;
        if (given < rule.LeastInputs || given > rule.MostInputs || node.Inputs.AsSpan(0, rule.LeastInputs).Contains(""))
            throw new DataFormatException($"{source}: {node.Label}: {given} inputs are not what operator '{node.Operator}' takes.");
        if (node.Outputs.Length == 0 || node.Outputs.Length > rule.MostOutputs || node.Outputs[0].Length == 0)
            throw new DataFormatException($"{source}: {node.Label}: {node.Outputs.Length} outputs are not what operator '{node.Operator}' gives.");
    }
}
