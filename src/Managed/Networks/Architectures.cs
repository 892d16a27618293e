using System.Globalization;

namespace EmbeddingKernels;

/// <summary>
/// Networks whose .safetensors files hold only weights: recognised by the tensors' names, which are those of torchvision and,
/// for the small residual networks of CIFAR-10, of akamaster/pytorch_resnet_cifar10. Layers have the names of PyTorch's modules.
/// </summary>
internal static class Architectures
{
    // Channels of each convolution, 0 where pooling follows: Simonyan and Zisserman 2015, table 1, A, B, D and E.
    private static readonly Dictionary<int, int[]> Vgg = new()
    {
        [11] = [64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0],
        [13] = [64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0],
        [16] = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0],
        [19] = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0],
    };

    public static NetworkGraph Read(WeightFile file, NetworkOptions options)
    {
        Dictionary<string, GraphTensor> tensors = Safetensors.Read(file);
        const string Wrapper = "module."; // what PyTorch's DataParallel puts before each name
        if (tensors.Count > 0 && tensors.Keys.All(name => name.StartsWith(Wrapper, StringComparison.Ordinal)))
            tensors = tensors.ToDictionary(pair => pair.Key[Wrapper.Length..], pair => pair.Value, StringComparer.Ordinal);
        GraphBuilder graph = new(file.Path, tensors);
        string found;
        if (tensors.ContainsKey("features.0.weight"))
            found = BuildVgg(graph);
        else if (tensors.ContainsKey("layer4.0.conv1.weight"))
            found = BuildResNet(graph);
        else if (tensors.ContainsKey("layer3.0.conv1.weight") && tensors.ContainsKey("linear.weight"))
            found = BuildCifarResNet(graph);
        else
            throw new NotSupportedException($"{file.Path}: the tensors' names are those of no built-in architecture (VGG, ResNet, CIFAR ResNet).");
        string wanted = options.Architecture?.Replace("-", "", StringComparison.Ordinal) ?? found;
        if (!wanted.Equals(found, StringComparison.OrdinalIgnoreCase))
            throw new ArgumentException($"The file holds the weights of '{found}' and not of '{options.Architecture}'.", nameof(options));
        return graph.Finish(anyExtent: !found.StartsWith("vgg", StringComparison.Ordinal));
    }

    private static string BuildVgg(GraphBuilder graph)
    {
        bool normalised = graph.Has("features.1.running_mean");
        int layers = 3;
        for (int i = 0; i < 64; i++)
            layers += graph.Rank(Name("features.", i, ".weight")) == 4 ? 1 : 0;
        if (!Vgg.TryGetValue(layers, out int[]? plan))
            throw graph.Fail($"there are {layers - 3} convolutions, which is none of VGG's");
        string x = graph.Input(3, 224, 224);
        int index = 0;
        foreach (int channels in plan)
        {
            if (channels == 0)
            {
                x = graph.MaxPool(Name("features.", index++), x, 2, 2, 0);
                continue;
            }

            x = graph.Convolution(Name("features.", index), x, Name("features.", index++), 1, 1, channels);
            if (normalised)
                x = graph.Normalisation(Name("features.", index), x, Name("features.", index++));
            x = graph.Node("Relu", Name("features.", index++), [x]);
        }

        graph.Alias("features", x);
        x = graph.Node("Identity", "avgpool", [x]); // to 7 x 7, which it is at 224 x 224
        x = graph.Node("Flatten", "flatten", [x]);
        for (int i = 0; i < 3; i++)
        {
            x = graph.Linear(Name("classifier.", 3 * i), x, Name("classifier.", 3 * i));
            graph.Alias(Name("fc", i + 1), x);
            if (i == 2)
                break;
            x = graph.Node("Relu", Name("classifier.", (3 * i) + 1), [x]);
            graph.Alias(Name("relu", i + 1), x);
        }

        return Name("vgg", layers) + (normalised ? "_bn" : "");
    }

    private static string BuildResNet(GraphBuilder graph)
    {
        bool bottleneck = graph.Has("layer1.0.conv3.weight");
        string x = graph.Input(3, 224, 224);
        x = graph.Convolution("conv1", x, "conv1", 2, 3);
        x = graph.Node("Relu", "relu", [graph.Normalisation("bn1", x, "bn1")]);
        x = graph.MaxPool("maxpool", x, 3, 2, 1);
        int[] blocks = new int[4];
        for (int layer = 1; layer <= 4; layer++)
        {
            for (int i = 0; graph.Has(Name("layer", layer, ".", i, ".conv1.weight")); i++)
            {
                blocks[layer - 1]++;
                x = Block(graph, Name("layer", layer, ".", i), x, i == 0 && layer > 1 ? 2 : 1, bottleneck);
            }

            graph.Alias(Name("layer", layer), x);
        }

        x = graph.Node("GlobalAveragePool", "avgpool", [x]);
        x = graph.Node("Flatten", "flatten", [x]);
        graph.Linear("fc", x, "fc");
        return string.Join(',', blocks) switch
        {
            "2,2,2,2" when !bottleneck => "resnet18",
            "3,4,6,3" => bottleneck ? "resnet50" : "resnet34",
            "3,4,23,3" when bottleneck => "resnet101",
            "3,8,36,3" when bottleneck => "resnet152",
            _ => "resnet",
        };
    }

    private static string Block(GraphBuilder graph, string name, string x, int stride, bool bottleneck)
    {
        string y = x;
        int convolutions = bottleneck ? 3 : 2;
        for (int i = 1; i <= convolutions; i++)
        {
            // A bottleneck strides in its 3x3 convolution (torchvision), a basic block in its first.
            bool strides = i == (bottleneck ? 2 : 1);
            bool wide = !bottleneck || i == 2;
            y = graph.Convolution(Name(name, ".conv", i), y, Name(name, ".conv", i), strides ? stride : 1, wide ? 1 : 0);
            y = graph.Normalisation(Name(name, ".bn", i), y, Name(name, ".bn", i));
            if (i < convolutions)
                y = graph.Node("Relu", Name(name, ".relu", i), [y]);
        }

        string shortcut = x;
        if (graph.Has(name + ".downsample.0.weight"))
        {
            shortcut = graph.Convolution(name + ".downsample.0", x, name + ".downsample.0", stride, 0);
            shortcut = graph.Normalisation(name + ".downsample.1", shortcut, name + ".downsample.1");
        }

        y = graph.Node("Add", name + ".add", [y, shortcut]);
        return graph.Node("Relu", name, [y]);
    }

    private static string BuildCifarResNet(GraphBuilder graph)
    {
        string x = graph.Input(3, 32, 32);
        x = graph.Convolution("conv1", x, "conv1", 1, 1);
        x = graph.Node("Relu", "relu", [graph.Normalisation("bn1", x, "bn1")]);
        int blocks = 0;
        for (int layer = 1; layer <= 3; layer++)
        {
            for (int i = 0; graph.Has(Name("layer", layer, ".", i, ".conv1.weight")); i++, blocks++)
                x = CifarBlock(graph, Name("layer", layer, ".", i), x, i == 0 && layer > 1 ? 2 : 1);
            graph.Alias(Name("layer", layer), x);
        }

        x = graph.Node("GlobalAveragePool", "avgpool", [x]);
        x = graph.Node("Flatten", "flatten", [x]);
        graph.Alias("fc", graph.Linear("linear", x, "linear"));
        return Name("cifar_resnet", (2 * blocks) + 2);
    }

    private static string CifarBlock(GraphBuilder graph, string name, string x, int stride)
    {
        string y = graph.Convolution(name + ".conv1", x, name + ".conv1", stride, 1);
        y = graph.Node("Relu", name + ".relu1", [graph.Normalisation(name + ".bn1", y, name + ".bn1")]);
        y = graph.Convolution(name + ".conv2", y, name + ".conv2", 1, 1);
        y = graph.Normalisation(name + ".bn2", y, name + ".bn2");
        string shortcut = x;
        if (graph.Has(name + ".shortcut.0.weight"))
        {
            shortcut = graph.Convolution(name + ".shortcut.0", x, name + ".shortcut.0", stride, 0);
            shortcut = graph.Normalisation(name + ".shortcut.1", shortcut, name + ".shortcut.1");
        }
        else if (stride > 1)
        {
            // Option A of He et al. 2016: every other pixel, and half of the added channels of zeros on either side.
            int channels = graph.Extent(name + ".conv1.weight", 0);
            shortcut = graph.MaxPool(name + ".shortcut.subsampled", x, 1, stride, 0);
            shortcut = graph.PadChannels(name + ".shortcut", shortcut, channels / 4);
        }

        y = graph.Node("Add", name + ".add", [y, shortcut]);
        return graph.Node("Relu", name, [y]);
    }

    private static string Name(params ReadOnlySpan<object> parts) => string.Concat(parts.ToArray().Select(part => Convert.ToString(part, CultureInfo.InvariantCulture)));
}
