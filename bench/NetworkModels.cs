namespace EmbeddingKernels.Bench;

/// <summary>The networks that are compared, as torchvision has them (MobileNet-V1, which it lacks, as in its paper).</summary>
internal static class NetworkModels
{
    /// <summary>All, or the smallest.</summary>
    public static IEnumerable<Func<NetworkModel>> All(bool quick) => quick
        ? [SqueezeNet, () => MobileNet(64)]
        : [Vgg16, ResNet50, ResNet18, SqueezeNet, () => MobileNet(224)];

    /// <summary>VGG16, of which the first fully connected layer is asked for.</summary>
    public static NetworkModel Vgg16()
    {
        NetworkModel model = new("VGG16 to fc1", 224);
        string last = NetworkModel.Data;
        int[][] stages = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]];
        for (int stage = 0; stage < stages.Length; stage++)
        {
            for (int i = 0; i < stages[stage].Length; i++)
                last = model.Convolution($"conv{stage + 1}_{i + 1}", last, stages[stage][i], 3, padding: 1);
            last = model.MaxPool($"pool{stage + 1}", last, 2, 2);
        }

        last = model.FullyConnected("fc1", last, 4096, relu: true);
        last = model.FullyConnected("fc2", last, 4096, relu: true);
        model.FullyConnected("fc3", last, 1000);
        model.Feature = "fc1";
        return model;
    }

    public static NetworkModel ResNet18() => ResNet("ResNet-18", [2, 2, 2, 2], (model, name, input, channels, stride) =>
    {
        string first = model.Convolution($"{name}.conv1", input, channels, 3, stride, 1);
        string second = model.Convolution($"{name}.conv2", first, channels, 3, 1, 1, relu: false);
        return model.Sum(name, second, Shortcut(model, name, input, channels, stride));
    });

    public static NetworkModel ResNet50() => ResNet("ResNet-50", [3, 4, 6, 3], (model, name, input, channels, stride) =>
    {
        string first = model.Convolution($"{name}.conv1", input, channels, 1);
        string second = model.Convolution($"{name}.conv2", first, channels, 3, stride, 1);
        string third = model.Convolution($"{name}.conv3", second, 4 * channels, 1, relu: false);
        return model.Sum(name, third, Shortcut(model, name, input, 4 * channels, stride));
    });

    /// <summary>SqueezeNet 1.1.</summary>
    public static NetworkModel SqueezeNet()
    {
        NetworkModel model = new("SqueezeNet 1.1", 227);
        string last = model.MaxPool("pool1", model.Convolution("conv1", NetworkModel.Data, 64, 3, 2), 3, 2, ceiling: true);
        last = Fire(model, "fire2", last, 16, 64);
        last = model.MaxPool("pool3", Fire(model, "fire3", last, 16, 64), 3, 2, ceiling: true);
        last = Fire(model, "fire4", last, 32, 128);
        last = model.MaxPool("pool5", Fire(model, "fire5", last, 32, 128), 3, 2, ceiling: true);
        last = Fire(model, "fire6", last, 48, 192);
        last = Fire(model, "fire7", last, 48, 192);
        last = Fire(model, "fire8", last, 64, 256);
        last = Fire(model, "fire9", last, 64, 256);
        model.GlobalAverage("pool10", model.Convolution("conv10", last, 1000, 1));
        return model;
    }

    /// <summary>MobileNet-V1 of width 1.</summary>
    public static NetworkModel MobileNet(int inputSize)
    {
        NetworkModel model = new("MobileNet-V1", inputSize);
        string last = model.Convolution("conv1", NetworkModel.Data, 32, 3, 2, 1);
        int channels = 32;
        (int Channels, int Stride)[] blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)];
        for (int i = 0; i < blocks.Length; i++)
        {
            last = model.Convolution($"conv{i + 2}.dw", last, channels, 3, blocks[i].Stride, 1, groups: channels);
            channels = blocks[i].Channels;
            last = model.Convolution($"conv{i + 2}.sep", last, channels, 1);
        }

        model.FullyConnected("fc", model.GlobalAverage("pool", last), 1000);
        return model;
    }

    private static NetworkModel ResNet(string name, int[] stages, Func<NetworkModel, string, string, int, int, string> block)
    {
        NetworkModel model = new(name, 224);
        string last = model.MaxPool("maxpool", model.Convolution("conv1", NetworkModel.Data, 64, 7, 2, 3), 3, 2, 1);
        for (int stage = 0; stage < stages.Length; stage++)
        {
            for (int i = 0; i < stages[stage]; i++)
                last = block(model, $"layer{stage + 1}.{i}", last, 64 << stage, stage > 0 && i == 0 ? 2 : 1);
        }

        model.FullyConnected("fc", model.GlobalAverage("avgpool", last), 1000);
        return model;
    }

    private static string Shortcut(NetworkModel model, string name, string input, int channels, int stride) =>
        stride == 1 && model.Shape(input).Channels == channels ? input : model.Convolution($"{name}.downsample", input, channels, 1, stride, relu: false);

    private static string Fire(NetworkModel model, string name, string input, int squeezed, int expanded)
    {
        string squeeze = model.Convolution($"{name}.squeeze", input, squeezed, 1);
        return model.Concat(
            name, model.Convolution($"{name}.expand1x1", squeeze, expanded, 1), model.Convolution($"{name}.expand3x3", squeeze, expanded, 3, padding: 1));
    }
}
