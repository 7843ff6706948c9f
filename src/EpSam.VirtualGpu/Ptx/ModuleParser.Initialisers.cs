// Initialisers of .global and .const variables (PTX ISA 7.8, section 5.4.4): numbers, addresses, nested braces. Braces
// stand for array dimensions, a vector's width being the last; what is not given is zero.
using System.Buffers.Binary;

namespace EpSam.VirtualGpu.Ptx;

/// <summary>The bytes of a variable while its initialiser is read.</summary>
internal sealed class Initialiser(PtxType type, List<long> dimensions, bool unsized)
{
    byte[] bytes = new byte[16];
    long position;   // element to be written next
    long written;    // elements up to the last one written

    public PtxType Type { get; } = type;
    public int Dimensions => dimensions.Count;
    public List<PtxRelocation> Relocations { get; } = [];

    /// <summary>Elements in one item of the dimension: a row of a matrix, a vector, one element.</summary>
    public long Stride(int dimension)
    {
        long stride = 1;
        for (int i = dimension + 1; i < dimensions.Count; i++)
        {
            stride *= dimensions[i];
        }
        return stride;
    }

    /// <summary>How many elements the whole holds; without a limit when the text decides.</summary>
    public long Capacity => unsized ? long.MaxValue : Stride(-1);

    /// <summary>For an array without a size: how many rows the text gave.</summary>
    public long Rows => (written + Stride(0) - 1) / Math.Max(Stride(0), 1);

    public long Position => position;

    public void Skip(long to) => position = to;

    /// <summary>Writes the next element; returns its offset. The caller has checked that it lies within the
    /// limits.</summary>
    public int Write(ulong bits)
    {
        int size = Type.Size();
        long offset = position * size;
        if (offset + size > bytes.Length)
        {
            Array.Resize(ref bytes, (int)Math.Max(offset + size, bytes.Length * 2L));
        }
        Span<byte> place = bytes.AsSpan((int)offset);
        switch (size)
        {
            case 1: place[0] = (byte)bits; break;
            case 2: BinaryPrimitives.WriteUInt16LittleEndian(place, (ushort)bits); break;
            case 4: BinaryPrimitives.WriteUInt32LittleEndian(place, (uint)bits); break;
            default: BinaryPrimitives.WriteUInt64LittleEndian(place, bits); break;
        }
        position++;
        written = Math.Max(written, position);
        return (int)offset;
    }

    /// <summary>All the bytes, zeros included.</summary>
    public byte[] Finish()
    {
        Array.Resize(ref bytes, checked((int)((unsized ? Rows * Stride(0) : Capacity) * Type.Size())));
        return bytes;
    }
}

internal sealed partial class ModuleParser
{
    byte[] Initialise(PtxType type, List<long> dimensions, bool unsized, string name, SourcePosition position,
        out List<PtxRelocation> relocations)
    {
        Initialiser initialiser = new(type, dimensions, unsized);
        if (!unsized)
        {
            Reserve(initialiser.Capacity * type.Size());
        }
        if (token.Is('{'))
        {
            InitialList(initialiser, 0);
        }
        else if (dimensions.Count == 0)
        {
            InitialValue(initialiser);
        }
        else
        {
            throw Expected($"'{{' before the initial values of '{Excerpt(name)}'");
        }
        if (unsized)
        {
            Reserve(initialiser.Rows * initialiser.Stride(0) * type.Size());
        }
        relocations = initialiser.Relocations;
        return initialiser.Finish();

        void Reserve(long size)
        {
            if (size + initialisedBytes > PtxLimits.InitialisedBytes)
            {
                Fail($"more than {PtxLimits.InitialisedBytes >> 20} MiB of initialised variables in one module",
                    position);
            }
            initialisedBytes += (int)size;
        }
    }

    /// <summary>{ item, … } for one dimension. Depth is bounded by NestedExpressions.</summary>
    void InitialList(Initialiser initialiser, int dimension)
    {
        Deeper();
        Token open = token;
        Advance();
        long start = initialiser.Position;
        long stride = initialiser.Stride(dimension);
        // a level's room: the next outer level's stride; the whole for the outermost
        long end = dimension == 0 ? initialiser.Capacity : start + initialiser.Stride(dimension - 1);
        if (Accept('}'))
        {
            expressionDepth--;
            return;
        }
        do
        {
            if (token.Kind == TokenKind.End)
            {
                Fail("this '{' is never closed", open.Position);
            }
            if (initialiser.Position >= end)
            {
                throw Error($"too many initial values: there is room for {end - start}", token.Position);
            }
            if (dimension < initialiser.Dimensions - 1)
            {
                if (!token.Is('{'))
                {
                    throw Expected("'{' for the next dimension of the array");
                }
                long next = initialiser.Position + stride;   // both below 2^41
                InitialList(initialiser, dimension + 1);
                initialiser.Skip(next);
                CheckReach(initialiser, open.Position);
            }
            else
            {
                CheckReach(initialiser, token.Position);
                InitialValue(initialiser);
            }
        }
        while (Accept(','));
        if (!Accept('}'))
        {
            throw Expected("',' or '}' in the list of initial values");
        }
        expressionDepth--;
    }

    /// <summary>Keeps arrays without a size from growing without bound.</summary>
    void CheckReach(Initialiser initialiser, SourcePosition position)
    {
        if (initialiser.Position > PtxLimits.InitialisedBytes / initialiser.Type.Size())
        {
            Fail($"initial values beyond {PtxLimits.InitialisedBytes >> 20} MiB", position);
        }
    }

    void InitialValue(Initialiser initialiser)
    {
        Token at = token;
        if (StartsConstant)
        {
            Constant value = ConstantExpression("an initial value");
            initialiser.Write(ConvertTo(initialiser.Type, value, at.Position));
            return;
        }
        if (token.Kind != TokenKind.Identifier)
        {
            throw Expected("an initial value");
        }
        bool generic = Text.SequenceEqual("generic");
        Token symbol = token;
        string name = ExpectName("a symbol");
        if (generic && Accept('('))
        {
            symbol = token;
            name = ExpectName("a symbol");
            if (token.Is('+') || token.Is('-'))
            {
                throw Error("write generic(symbol)+offset", token.Position);
            }
            Expect(')', "after the symbol");
        }
        else
        {
            generic = false;
        }
        long addend = token.Is('+') || token.Is('-') ? ExpectInteger("the offset", long.MinValue, long.MaxValue) : 0;
        if (globals.FindHere(name) is not (PtxVariable { Space: StateSpace.Global or StateSpace.Const } or PtxFunction))
        {
            throw Undeclared("variable or function", name, symbol.Position);
        }
        if (initialiser.Type.Size() != 8 || initialiser.Type == PtxType.F64)
        {
            Fail($"an address needs 64 bits; the variable's type is .{TypeName(initialiser.Type)}", at.Position);
        }
        int offset = initialiser.Write(0);
        initialiser.Relocations.Add(new(offset, name, addend, generic));
    }

    static string TypeName(PtxType type) => type.ToString().ToLowerInvariant();

    /// <summary>A constant as a value of the type: PTX ISA 7.8, 4.5.1 (integers are truncated), 4.5.2 (floats
    /// rounded).</summary>
    ulong ConvertTo(PtxType type, Constant value, SourcePosition position)
    {
        string name = TypeName(type);
        if (type is PtxType.F16 or PtxType.F16x2)
        {
            throw Error($"a variable of type .{name} cannot have an initialiser; declare it .b{type.Size() * 8}",
                position);
        }
        if ((type is PtxType.F32 or PtxType.F64) && !value.IsFloat)
        {
            throw Error($"an integer cannot initialise a variable of type .{name}; write it with a decimal point",
                position);
        }
        if (value.IsFloat && type is not (PtxType.F32 or PtxType.F64 or PtxType.B32 or PtxType.B64))
        {
            throw Error($"a floating-point number cannot initialise a variable of type .{name}", position);
        }
        return !value.IsFloat ? value.Bits
            : type.Size() == 8 ? BitConverter.DoubleToUInt64Bits(value.AsDouble)
            : value.IsSingle ? value.Bits : BitConverter.SingleToUInt32Bits((float)value.AsDouble);
    }
}
