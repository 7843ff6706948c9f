// Constant expressions (PTX ISA 7.8, section 4.5): C operators on 64-bit signed and unsigned integers, and on doubles.
// They stand wherever an immediate may. An integer is signed unless written with U or too large to be.
namespace EpSam.VirtualGpu.Ptx;

/// <summary>The value of a constant expression.</summary>
internal readonly record struct Constant(ulong Bits, bool IsUnsigned = false, bool IsFloat = false,
    bool IsSingle = false)
{
    public static Constant Of(double value) => new(BitConverter.DoubleToUInt64Bits(value), IsFloat: true);
    public static Constant Of(bool value) => new(value ? 1u : 0u);

    public double AsDouble => IsSingle ? BitConverter.UInt32BitsToSingle((uint)Bits)
        : IsFloat ? BitConverter.UInt64BitsToDouble(Bits)
        : IsUnsigned ? Bits : (long)Bits;

    public bool IsTrue => IsFloat ? AsDouble != 0 : Bits != 0;

    public override string ToString() => IsFloat ? AsDouble.ToString("R", null) : IsUnsigned ? Bits.ToString()
        : ((long)Bits).ToString();
}

internal sealed partial class ModuleParser
{
    int expressionDepth;

    bool StartsConstant => token.Kind is TokenKind.Integer or TokenKind.Float or TokenKind.Single
        || (token.Kind == TokenKind.Symbol && token.Symbol is '-' or '+' or '~' or '(' or '!')
        || (token.Kind == TokenKind.Identifier && Text.SequenceEqual("WARP_SZ"));

    Constant ConstantExpression(string what)
    {
        Deeper();
        Constant condition = Binary(1, what);
        if (Accept('?'))
        {
            Constant yes = ConstantExpression(what);
            Expect(':', "of the '?' before it");
            Constant no = ConstantExpression(what);
            condition = condition.IsTrue ? yes : no;
        }
        expressionDepth--;
        return condition;
    }

    void Deeper()
    {
        if (++expressionDepth > PtxLimits.NestedExpressions)
        {
            throw Error($"this expression nests deeper than {PtxLimits.NestedExpressions}", token.Position);
        }
    }

    static int Precedence(in Token token) => token.Kind != TokenKind.Symbol ? 0 : token.Symbol switch
    {
        Lexer.Or => 1,
        Lexer.And => 2,
        '|' => 3,
        '^' => 4,
        '&' => 5,
        Lexer.Equal or Lexer.NotEqual => 6,
        '<' or '>' or Lexer.LessEqual or Lexer.GreaterEqual => 7,
        Lexer.ShiftLeft or Lexer.ShiftRight => 8,
        '+' or '-' => 9,
        '*' or '/' or '%' => 10,
        _ => 0,
    };

    Constant Binary(int lowest, string what) => BinaryAfter(Unary(what), lowest, what);

    Constant BinaryAfter(Constant left, int lowest, string what)
    {
        for (int precedence = Precedence(token); precedence >= lowest; precedence = Precedence(token))
        {
            Token at = token;
            Advance();
            Constant right = Binary(precedence + 1, what);
            left = left.IsFloat || right.IsFloat ? FloatBinary(at, left, right) : IntegerBinary(at, left, right);
        }
        return left;
    }

    Constant Unary(string what)
    {
        Deeper();
        Token at = token;
        Constant value;
        if (token.Kind == TokenKind.Symbol && token.Symbol is '-' or '+' or '~' or '!')
        {
            Advance();
            value = ApplyUnary(at, Unary(what));
        }
        else if (Accept('('))
        {
            value = Parenthesised(what);
        }
        else
        {
            value = Literal(what);
        }
        expressionDepth--;
        return value;
    }

    /// <summary>(expression), or one of the casts (.s64) and (.u64) and what it is applied to.</summary>
    Constant Parenthesised(string what)
    {
        bool toSigned = IsWord(".s64"), toUnsigned = IsWord(".u64");
        if (!toSigned && !toUnsigned)
        {
            Constant value = ConstantExpression(what);
            Expect(')', "of the '(' before it");
            return value;
        }
        Advance();
        Expect(')', "after the type");
        Constant operand = Unary(what);
        return operand.IsFloat ? throw Error("a floating-point number cannot be cast here", token.Position)
            : new Constant(operand.Bits, toUnsigned);
    }

    Constant Literal(string what)
    {
        Constant value = token.Kind switch
        {
            TokenKind.Integer => new(token.Bits, token.IsUnsigned),
            TokenKind.Float => new(token.Bits, IsFloat: true),
            TokenKind.Single => new(token.Bits, IsFloat: true, IsSingle: true),
            TokenKind.Identifier when Text.SequenceEqual("WARP_SZ") => new(32),
            _ => throw Expected(what),
        };
        Advance();
        return value;
    }

    Constant ApplyUnary(in Token at, Constant value)
    {
        if (value.IsFloat)
        {
            return at.Symbol switch
            {
                '-' => value with { Bits = value.Bits ^ (value.IsSingle ? 1ul << 31 : 1ul << 63) },
                '+' => value,
                '!' => Constant.Of(!value.IsTrue),
                _ => throw Error("'~' needs an integer", at.Position),
            };
        }
        return at.Symbol switch
        {
            '-' => value with { Bits = 0 - value.Bits },
            '~' => value with { Bits = ~value.Bits },
            '!' => Constant.Of(value.Bits == 0),
            _ => value,
        };
    }

    Constant FloatBinary(in Token at, Constant left, Constant right)
    {
        double a = left.AsDouble, b = right.AsDouble;
        return at.Symbol switch
        {
            '+' => Constant.Of(a + b),
            '-' => Constant.Of(a - b),
            '*' => Constant.Of(a * b),
            '/' => Constant.Of(a / b),
            '<' => Constant.Of(a < b),
            '>' => Constant.Of(a > b),
            Lexer.LessEqual => Constant.Of(a <= b),
            Lexer.GreaterEqual => Constant.Of(a >= b),
            Lexer.Equal => Constant.Of(a == b),
            Lexer.NotEqual => Constant.Of(a != b),
            Lexer.And => Constant.Of(left.IsTrue && right.IsTrue),
            Lexer.Or => Constant.Of(left.IsTrue || right.IsTrue),
            _ => throw Error("this operator needs integers", at.Position),
        };
    }

    Constant IntegerBinary(in Token at, Constant left, Constant right)
    {
        ulong a = left.Bits, b = right.Bits;
        bool unsigned = left.IsUnsigned || right.IsUnsigned;
        return at.Symbol switch
        {
            '+' => new(a + b, unsigned),
            '-' => new(a - b, unsigned),
            '*' => new(a * b, unsigned),
            '/' or '%' => Quotient(at, a, b, unsigned),
            '&' => new(a & b, unsigned),
            '|' => new(a | b, unsigned),
            '^' => new(a ^ b, unsigned),
            Lexer.ShiftLeft => new(b > 63 ? 0 : a << (int)b, left.IsUnsigned),
            Lexer.ShiftRight when left.IsUnsigned => new(b > 63 ? 0 : a >> (int)b, true),
            Lexer.ShiftRight => new((ulong)((long)a >> (int)Math.Min(b, 63))),
            '<' => Constant.Of(unsigned ? a < b : (long)a < (long)b),
            '>' => Constant.Of(unsigned ? a > b : (long)a > (long)b),
            Lexer.LessEqual => Constant.Of(unsigned ? a <= b : (long)a <= (long)b),
            Lexer.GreaterEqual => Constant.Of(unsigned ? a >= b : (long)a >= (long)b),
            Lexer.Equal => Constant.Of(a == b),
            Lexer.NotEqual => Constant.Of(a != b),
            Lexer.And => Constant.Of(a != 0 && b != 0),
            Lexer.Or => Constant.Of(a != 0 || b != 0),
            _ => throw Error("this operator cannot stand in a constant expression", at.Position),
        };
    }

    Constant Quotient(in Token at, ulong a, ulong b, bool unsigned)
    {
        if (b == 0)
        {
            throw Error("division by zero in a constant expression", at.Position);
        }
        bool divide = at.Symbol == '/';
        if (unsigned)
        {
            return new(divide ? a / b : a % b, true);
        }
        if ((long)b == -1)
        {
            return new(divide ? 0 - a : 0);   // long.MinValue / -1 would trap in C#
        }
        return new((ulong)(divide ? (long)a / (long)b : (long)a % (long)b));
    }
}
