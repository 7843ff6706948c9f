namespace EpSam.VirtualGpu.Ptx;

/// <summary>How large a module may be. Past these a module is refused, so that hostile text costs bounded
/// memory.</summary>
internal static class PtxLimits
{
    public const int SourceLength = 256 << 20;           // characters
    public const int NumberLength = 1_000;               // characters of one number
    public const int NestedScopes = 64;
    public const int NestedExpressions = 64;             // parentheses, unary operators, nested initialisers
    public const int RegistersPerFunction = 1_000_000;
    public const int NumberedVariables = 16_384;         // made by name<n>, in one module
    public const int InitialisedBytes = 64 << 20;        // all initialisers of one module
    public const long VariableBytes = 1L << 40;          // one variable
    public const int ParameterBytes = 4_352;             // of an entry: PTX ISA 7.8, 6.1
    public const int ConstantBytes = 64 << 10;           // all .const variables of one module: PTX ISA 7.8, 5.1.3
    public const int Alignment = 1 << 16;
    public const int Modifiers = 32;
    public const int Operands = 16;
    public const int VectorElements = 64;
    public const int CallArguments = 4_096;
    public const int NameLength = 65_536;
}
