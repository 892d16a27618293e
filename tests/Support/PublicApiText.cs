using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace EmbeddingKernels.TestSupport;

/// <summary>
/// The public surface of an assembly as text, one line per type and member, in C#'s words and sorted, so that every change
/// to it shows in a review.
/// </summary>
public static class PublicApiText
{
    /// <summary>The environment variable that makes the tests rewrite the files.</summary>
    public const string AcceptVariable = "EMBEDDING_KERNELS_ACCEPT_API";

    private static readonly NullabilityInfoContext Nullability = new();

    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void",
        [typeof(bool)] = "bool",
        [typeof(byte)] = "byte",
        [typeof(sbyte)] = "sbyte",
        [typeof(short)] = "short",
        [typeof(ushort)] = "ushort",
        [typeof(int)] = "int",
        [typeof(uint)] = "uint",
        [typeof(long)] = "long",
        [typeof(ulong)] = "ulong",
        [typeof(nint)] = "nint",
        [typeof(nuint)] = "nuint",
        [typeof(float)] = "float",
        [typeof(double)] = "double",
        [typeof(decimal)] = "decimal",
        [typeof(char)] = "char",
        [typeof(string)] = "string",
        [typeof(object)] = "object",
    };

    /// <summary>Compares the surface of <paramref name="assembly"/> with a file of the repository and prints the difference.</summary>
    public static void AssertUnchanged(Assembly assembly, string file)
    {
        string path = Path.Combine(SharedData.RepositoryRoot, file);
        string now = Of(assembly);
        if (Environment.GetEnvironmentVariable(AcceptVariable) == "1")
        {
            File.WriteAllText(path, now);
            Assert.Ignore($"skipped: {file} was rewritten because {AcceptVariable} is 1");
        }

        string before = File.Exists(path) ? File.ReadAllText(path).ReplaceLineEndings("\n") : "";
        if (now != before)
            Assert.Fail($"The public surface of {assembly.GetName().Name} is not what {file} says. Where this is wanted, accept it by\n    {AcceptVariable}=1 dotnet test --filter FullyQualifiedName~PublicApi\nand commit the file.\n\n{Difference(before.Split('\n'), now.Split('\n'))}");
    }

    /// <summary>The surface: types and, indented, their members; what a caller or a derived class can see.</summary>
    public static string Of(Assembly assembly)
    {
        StringBuilder text = new();
        foreach (Type type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            text.Append(Describe(type)).Append('\n');
            foreach (string member in type.IsEnum ? EnumMembers(type) : Members(type).Order(StringComparer.Ordinal))
                text.Append("    ").Append(member).Append('\n');
            text.Append('\n');
        }

        return text.ToString();
    }

    /// <summary>The lines that differ, by the longest common subsequence, each under its type.</summary>
    internal static string Difference(string[] before, string[] now)
    {
        int[,] common = new int[before.Length + 1, now.Length + 1];
        for (int i = before.Length - 1; i >= 0; i--)
        {
            for (int j = now.Length - 1; j >= 0; j--)
                common[i, j] = before[i] == now[j] ? common[i + 1, j + 1] + 1 : Math.Max(common[i + 1, j], common[i, j + 1]);
        }

        StringBuilder text = new();
        string head = "";
        for (int i = 0, j = 0; i < before.Length || j < now.Length;)
        {
            if (i < before.Length && j < now.Length && before[i] == now[j])
            {
                head = before[i].StartsWith(' ') ? head : before[i];
                i++;
                j++;
                continue;
            }

            bool removed = j == now.Length || (i < before.Length && common[i + 1, j] >= common[i, j + 1]);
            string line = removed ? before[i++] : now[j++];
            if (line.Length == 0)
                continue;
            if (head.Length > 0 && line.StartsWith(' '))
                text.Append("  ").Append(head).Append('\n');
            head = "";
            text.Append(removed ? "- " : "+ ").Append(line).Append('\n');
        }

        return text.ToString();
    }

    private static string Describe(Type type)
    {
        if (type.IsEnum)
            return $"enum {FullName(type)} : {Name(Enum.GetUnderlyingType(type))}";
        if (typeof(MulticastDelegate).IsAssignableFrom(type))
        {
            MethodInfo invoke = type.GetMethod("Invoke")!;
            return $"delegate {ReturnType(invoke)} {FullName(type)}({Parameters(invoke)}){Constraints(type.GetGenericArguments())}";
        }

        bool isRecord = type.GetMethod("<Clone>$") is not null || type.GetMethod("PrintMembers", BindingFlags.Instance | BindingFlags.NonPublic) is not null;
        string kind = (type.IsInterface, type.IsValueType, isRecord) switch
        {
            (true, _, _) => "interface",
            (_, true, true) => "record struct",
            (_, true, _) => "struct",
            (_, _, true) => "record",
            _ => "class",
        };
        string modifiers = type switch
        {
            { IsInterface: true } => "",
            { IsValueType: true } => (type.IsDefined(typeof(IsReadOnlyAttribute)) ? "readonly " : "") + (type.IsByRefLike ? "ref " : ""),
            { IsAbstract: true, IsSealed: true } => "static ",
            { IsAbstract: true } => "abstract ",
            { IsSealed: true } => "sealed ",
            _ => "",
        };
        IEnumerable<Type> parents = type.GetInterfaces().Where(parent => parent.IsVisible);
        if (type.BaseType is { } parentClass && parentClass != typeof(object) && parentClass != typeof(ValueType))
            parents = parents.Except(parentClass.GetInterfaces());
        List<string> bases = [.. parents.Select(parent => Name(parent)).Order(StringComparer.Ordinal)];
        if (type.BaseType is { } super && super != typeof(object) && super != typeof(ValueType))
            bases.Insert(0, Name(super));
        return $"{modifiers}{kind} {FullName(type)}{(bases.Count > 0 ? " : " + string.Join(", ", bases) : "")}{Constraints(type.GetGenericArguments())}";
    }

    private static IEnumerable<string> Members(Type type)
    {
        const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        if (typeof(MulticastDelegate).IsAssignableFrom(type))
            return [];
        return type.GetConstructors(All).Where(Visible).Select(constructor => $"{Access(constructor)}{type.Name.Split('`')[0]}({Parameters(constructor)})")
            .Concat(type.GetFields(All).Where(field => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly).Select(Field))
            .Concat(type.GetProperties(All).Where(property => property.GetAccessors(nonPublic: true).Any(Visible)).Select(Property))
            .Concat(type.GetEvents(All).Where(item => Visible(item.AddMethod!)).Select(item => $"{Modifiers(item.AddMethod!)}event {Name(item.EventHandlerType!)} {item.Name}"))
            .Concat(type.GetMethods(All).Where(IsPlainMethod).Select(Method));
    }

    /// <summary>In the order of the values.</summary>
    private static IEnumerable<string> EnumMembers(Type type) =>
        Enum.GetNames(type).Select(name => $"{name} = {Convert.ToInt64(Enum.Parse(type, name), CultureInfo.InvariantCulture)}");

    private static bool IsPlainMethod(MethodInfo method) =>
        Visible(method) && !method.Name.Contains('<') && !method.IsDefined(typeof(CompilerGeneratedAttribute))
        && (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal)) && method.Name != "Finalize";

    private static bool Visible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static string Access(MethodBase method) => method.IsPublic ? "" : "protected ";

    private static string Modifiers(MethodInfo method)
    {
        string access = Access(method);
        if (method.IsStatic)
            return access + (method.IsAbstract ? "static abstract " : "static ");
        if (method.DeclaringType!.IsInterface)
            return access;
        if (method.IsAbstract)
            return access + "abstract ";
        if (method.GetBaseDefinition() != method)
            return access + (method.IsFinal ? "sealed override " : "override ");
        return access + (method.IsVirtual && !method.IsFinal ? "virtual " : "");
    }

    private static string Field(FieldInfo field)
    {
        string modifiers = (field.IsPublic ? "" : "protected ") + (field.IsLiteral ? "const " : (field.IsStatic ? "static " : "") + (field.IsInitOnly ? "readonly " : ""));
        string type = Name(field.FieldType, field.FieldType.IsPointer ? null : Nullability.Create(field));
        return $"{modifiers}{Required(field)}{type} {field.Name}{(field.IsLiteral ? " = " + Value(field.GetRawConstantValue()) : "")}";
    }

    private static string Property(PropertyInfo property)
    {
        MethodInfo[] accessors = [.. property.GetAccessors(nonPublic: true).Where(Visible)];
        string get = property.GetMethod is { } getter && Visible(getter) ? $"{(getter.IsPublic ? "" : "protected ")}get; " : "";
        string set = "";
        if (property.SetMethod is { } setter && Visible(setter))
        {
            bool isInit = setter.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit));
            set = $"{(setter.IsPublic ? "" : "protected ")}{(isInit ? "init" : "set")}; ";
        }

        ParameterInfo[] indexes = property.GetIndexParameters();
        string name = indexes.Length > 0 ? $"this[{string.Join(", ", indexes.Select(Parameter))}]" : property.Name;
        Type type = property.PropertyType;
        string typeName = type.IsByRef
            ? "ref " + (property.GetMethod!.ReturnParameter.IsDefined(typeof(IsReadOnlyAttribute)) ? "readonly " : "") + Name(type.GetElementType()!)
            : Name(type, type.IsPointer ? null : Nullability.Create(property));
        return $"{Modifiers(accessors[0])}{Required(property)}{typeName} {name} {{ {get}{set}}}";
    }

    private static string Required(MemberInfo member) => member.IsDefined(typeof(RequiredMemberAttribute)) ? "required " : "";

    private static string Method(MethodInfo method)
    {
        string generics = method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(argument => argument.Name))}>" : "";
        return $"{Modifiers(method)}{ReturnType(method)} {method.Name}{generics}({Parameters(method)}){Constraints(method.IsGenericMethod ? method.GetGenericArguments() : [])}";
    }

    private static string ReturnType(MethodInfo method)
    {
        ParameterInfo result = method.ReturnParameter;
        if (!method.ReturnType.IsByRef)
            return Name(method.ReturnType, Nullable(result));
        string readOnly = result.IsDefined(typeof(IsReadOnlyAttribute)) ? "readonly " : "";
        return $"ref {readOnly}{Name(method.ReturnType.GetElementType()!)}";
    }

    private static string Parameters(MethodBase method)
    {
        bool extends = method.IsDefined(typeof(ExtensionAttribute));
        return (extends ? "this " : "") + string.Join(", ", method.GetParameters().Select(Parameter));
    }

    private static string Parameter(ParameterInfo parameter)
    {
        Type type = parameter.ParameterType;
        string prefix = "";
        if (type.IsByRef)
        {
            prefix = parameter.IsOut ? "out " : parameter.IsIn ? "in " : "ref ";
            type = type.GetElementType()!;
        }

        if (parameter.IsDefined(typeof(ParamArrayAttribute)) || parameter.IsDefined(typeof(ParamCollectionAttribute)))
            prefix = "params ";
        string value = parameter.HasDefaultValue ? " = " + DefaultValue(parameter) : "";
        return $"{prefix}{Name(type, Nullable(parameter))} {parameter.Name}{value}";
    }

    private static string DefaultValue(ParameterInfo parameter)
    {
        object? value = parameter.RawDefaultValue;
        Type type = System.Nullable.GetUnderlyingType(parameter.ParameterType) ?? parameter.ParameterType;
        if (value is null)
            return type.IsValueType && type == parameter.ParameterType ? "default" : "null";
        return type.IsEnum ? $"{Name(type)}.{Enum.ToObject(type, value)}" : Value(value);
    }

    private static string Value(object? value) => value switch
    {
        null => "null",
        string text => $"\"{text}\"",
        bool truth => truth ? "true" : "false",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };

    // The context throws on pointers; by-reference parameters carry the annotation of their element.
    private static NullabilityInfo? Nullable(ParameterInfo parameter)
    {
        Type type = parameter.ParameterType.IsByRef ? parameter.ParameterType.GetElementType()! : parameter.ParameterType;
        return type.IsPointer || type.IsFunctionPointer ? null : Nullability.Create(parameter);
    }

    private static string FullName(Type type) => Short(type) ? $"{type.Namespace}.{Name(type)}" : Name(type);

    private static string Name(Type type, NullabilityInfo? nullability = null)
    {
        if (Keywords.TryGetValue(type, out string? keyword))
            return keyword + Mark(type, nullability);
        if (type.IsFunctionPointer)
            return $"delegate*<{string.Join(", ", type.GetFunctionPointerParameterTypes().Append(type.GetFunctionPointerReturnType()).Select(part => Name(part)))}>";
        if (type.IsPointer)
            return Name(type.GetElementType()!) + "*";
        if (type.IsArray)
            return $"{Name(type.GetElementType()!, nullability?.ElementType)}[{new string(',', type.GetArrayRank() - 1)}]{Mark(type, nullability)}";
        if (type.IsGenericParameter)
            return type.Name + Mark(type, nullability);
        if (System.Nullable.GetUnderlyingType(type) is { } underlying)
            return Name(underlying) + "?";

        Type[] arguments = type.GetGenericArguments();
        string[] names = [.. arguments.Select((argument, i) => Name(argument, i < nullability?.GenericTypeArguments.Length ? nullability.GenericTypeArguments[i] : null))];
        if (type.FullName?.StartsWith("System.ValueTuple`", StringComparison.Ordinal) == true)
            return $"({string.Join(", ", names)})";
        string name = type.IsNested ? $"{Name(type.DeclaringType!)}.{type.Name}" : $"{(Short(type) ? "" : type.Namespace + ".")}{type.Name}";
        int tick = name.IndexOf('`', StringComparison.Ordinal);
        return (tick < 0 ? name : $"{name[..tick]}<{string.Join(", ", names)}>") + Mark(type, nullability);
    }

    // What everybody has imported, and our own, go without their namespace.
    private static bool Short(Type type) =>
        type.Namespace is "System" or "System.Collections.Generic" or "System.IO" or "System.Threading" or "System.Threading.Tasks"
        || type.Namespace?.Split('.')[0] == "EmbeddingKernels";

    private static string Mark(Type type, NullabilityInfo? nullability) =>
        !type.IsValueType && nullability?.ReadState == NullabilityState.Nullable ? "?" : "";

    private static string Constraints(Type[] arguments)
    {
        StringBuilder text = new();
        foreach (Type argument in arguments.Where(argument => argument.IsGenericParameter))
        {
            GenericParameterAttributes attributes = argument.GenericParameterAttributes;
            List<string> parts = [];
            if (argument.GetCustomAttributesData().Any(data => data.AttributeType.Name == "IsUnmanagedAttribute"))
                parts.Add("unmanaged");
            else if (attributes.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint))
                parts.Add("struct");
            else if (attributes.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint))
                parts.Add("class");
            parts.AddRange(argument.GetGenericParameterConstraints().Where(constraint => constraint != typeof(ValueType)).Select(constraint => Name(constraint)).Order(StringComparer.Ordinal));
            if (attributes.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint) && !attributes.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint))
                parts.Add("new()");
            if (attributes.HasFlag(GenericParameterAttributes.AllowByRefLike))
                parts.Add("allows ref struct");
            if (parts.Count > 0)
                text.Append(CultureInfo.InvariantCulture, $" where {argument.Name} : {string.Join(", ", parts)}");
        }

        return text.ToString();
    }
}
